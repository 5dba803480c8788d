import { createRuntime } from 'perdure';
import config from './perdure.config.ts';

const rt = await createRuntime({ ...config, data: process.argv[2] ?? '.perdure' });
const session = await rt.open('support', { key: 'customer 12' });
const run = await session.send('call refund {"order": 7, "cents": 500}');
for await (const event of run.events()) console.log(event.kind);

let end = await run.result(); // status 'waiting': a person is needed
for (const wait of end.waits ?? []) {
  console.log(`approve ${wait.call?.name} ${JSON.stringify(wait.call?.arguments)}`);
  await session.resolve(wait.id, { decision: 'approve', digest: wait.digest ?? '' });
}
end = await run.result();
console.log(end.status, end.text);
await rt.close();
