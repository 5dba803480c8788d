/** Sessions in and out as files. What comes in is kept on disk until it is whole: it is read more than once. */
import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiError, CHANNELS, LIMITS as WIRE } from '@perdure/contract';
import type { Api } from '@perdure/runtime';
import type { Hono } from 'hono';
import type { Bindings, Reply, Route } from './routes.ts';
import { json, paramsOf } from './routes.ts';
import { routePath } from './paths.ts';

export function transferRoutes(app: Hono<Bindings>, base: string, api: Api, route: Route): void {
  const out = CHANNELS['sessions.export'];
  const into = CHANNELS['sessions.import'];
  const read = paramsOf(out, 0);
  app.on(
    out.verb,
    `${base}${routePath(out.path)}`,
    route(async (context, caller): Promise<Reply> => {
      const { session } = await read(context);
      const headers = {
        'content-type': out.content,
        'content-disposition': `attachment; filename="${session}.jsonl"`,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      };
      // What is refused is refused before the first byte.
      const lines = await api.exportSession(caller, session);
      if (context.req.raw.method === 'HEAD') return { status: 200, headers, body: null };
      return { status: 200, headers, body: streamOf(lines) };
    }),
  );
  app.on(
    into.verb,
    `${base}${routePath(into.path)}`,
    route(async (context, caller) => {
      if (new URL(context.req.raw.url).search !== '')
        throw new ApiError('invalid_request', 'an import takes no parameters: the body is the file');
      return spooled(context.req.raw, async (file) => {
        const imported = await api.importSession(caller, () => file.createReadStream({ start: 0, autoClose: false }));
        return json(201, JSON.stringify(imported));
      });
    }),
  );
}

/** One line at a time, as fast as it is read. What fails on the way breaks the stream off: it then has no end line. */
function streamOf(lines: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await lines.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await lines.return(undefined);
    },
  });
}

/** The file has no name while it is worked on: a process that dies leaves nothing of it on the disk. */
async function spooled<T>(request: Request, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'perdure-import-'));
  let file: FileHandle | undefined;
  try {
    file = await open(join(folder, 'session.jsonl'), 'wx+', 0o600);
    // Where a file that is open keeps its name, it goes with the folder at the end.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    await save(request, file);
    return await work(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC')
      throw new ApiError('storage_full', `there is no room in ${tmpdir()} for the file that is imported`);
    throw error;
  } finally {
    await file?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function save(request: Request, file: FileHandle): Promise<void> {
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > WIRE.importBytes)
      throw new ApiError('too_large', `the file is larger than ${WIRE.importBytes} bytes`, {
        details: { maxBytes: WIRE.importBytes },
      });
    await file.writeFile(chunk);
  }
}
