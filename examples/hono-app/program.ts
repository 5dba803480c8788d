/**
 * Perdure inside an application of one's own: the whole HTTP API below the app's own login, and a route of the app that
 * starts a run. Needs `hono` and `@hono/node-server`.
 *
 *     npx node examples/hono-app/program.ts [DATA]
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { agent, createRuntime, handler } from 'perdure';

const helper = agent({ name: 'helper', model: 'demo', instructions: 'You help the users of this application.' });
const rt = await createRuntime({ agents: [helper], data: process.argv[2] ?? '.perdure' });
const perdure = handler(rt);

const app = new Hono();
app.use(async (context, next) => {
  if (context.req.header('cookie') !== 'login=yes') return context.json({ error: 'log in first' }, 401);
  return next();
});
app.post('/ask', async (context) => {
  const { user, question } = await context.req.json<{ user: string; question: string }>();
  const session = await rt.open('helper', { key: `user ${user}` });
  const run = await session.send(question);
  return context.json({ session: session.id, run: run.id, follow: `/v1/sessions/${session.id}/events` }, 202);
});
app.all('/v1/*', (context) => perdure(context.req.raw));

const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env['PORT'] ?? 0) }, ({ port }) =>
  console.log(`http://127.0.0.1:${port}`),
);
process.once('SIGTERM', () => {
  server.close();
  void rt.close();
});
