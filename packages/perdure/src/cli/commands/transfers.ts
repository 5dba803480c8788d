/** Sessions as files: out, in, and read again. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from '@perdure/contract';
import type { Checked } from '@perdure/runtime';
import { BadExport, checkExport } from '@perdure/runtime';
import { connectedOrFolder } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { print, printJson, table, tell } from '../output.ts';

export const exportTo: Run = async (context) => {
  const session = context.args[0] ?? '';
  const { out, to } = context.flags;
  const move = context.flags['move'] === true;
  if (to !== undefined && !move) throw new UsageError('--to says where a session moves to: it needs --move');
  if (isJson(context) && out === undefined)
    throw new UsageError('--json needs --out: the file itself is printed otherwise');
  const file = typeof out === 'string' ? resolve(context.cwd, out) : null;
  if (file !== null && existsSync(file)) throw isThere(file);
  const connection = await connectedOrFolder(context);
  try {
    const { client } = connection;
    const seal = async (): Promise<void> => (move ? sealed(client, session, to) : undefined);
    if (file === null) {
      await seal();
      await pipeline(client.exportSession(session), process.stdout, { end: false });
    } else await save(context, client, session, file, seal);
    if (move)
      tell('it is sealed here for good, and goes on where the file is imported: this id does not come back here\n');
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

/** Sealed a second time it stays as it is: it has gone to one place. */
async function sealed(client: Client, session: string, to: Context['flags'][string]): Promise<void> {
  await client.call('sessions.move', { session, ...(typeof to === 'string' ? { to } : {}) });
}

/** The file appears under its name when it is whole, and takes the place of none. That it can be written is known before the session is sealed. */
async function save(
  context: Context,
  client: Client,
  session: string,
  file: string,
  seal: () => Promise<void>,
): Promise<void> {
  const draft = `${file}.${randomUUID()}.partial`;
  checkWritable(draft, file);
  try {
    await seal();
    await pipeline(client.exportSession(session), createWriteStream(draft, { mode: 0o600, flush: true }));
    const checked = await checkExport(() => createReadStream(draft));
    publish(draft, file);
    if (isJson(context)) printJson({ file, ...summary(checked) });
    else tell(`${file}: ${told(checked)}\n`);
    for (const digest of checked.missing) tell(`perdure: warning: blob ${digest} was lost, and is not in the file\n`);
  } finally {
    rmSync(draft, { force: true });
  }
}

const isThere = (file: string): CommandError =>
  new CommandError(EXIT.failed, `${file} is there already: name another file`);

/** Another export may have taken the name meanwhile. */
function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if (existsSync(file)) throw isThere(file);
    // Not every file system has links.
    if (!(error instanceof Error)) throw error;
    renameSync(draft, file);
  }
}

function checkWritable(draft: string, file: string): void {
  try {
    closeSync(openSync(draft, 'wx', 0o600));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(EXIT.failed, `${file} cannot be written: ${why}`);
  }
}

const summary = ({ header, entries, blobs, missing }: Checked): object => ({
  session: header.session,
  sealed: header.sealed,
  entries,
  blobs,
  missing,
});

const told = ({ header, entries, blobs }: Checked): string =>
  `session ${header.session}, ${entries} entries, ${blobs} blob${blobs === 1 ? '' : 's'}${header.sealed ? ', sealed' : ''}`;

export const importFrom: Run = async (context) => {
  const file = resolve(context.cwd, context.args[0] ?? '');
  // It is read more than once: a pipe cannot be.
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    throw new CommandError(EXIT.failed, `there is no file ${file}`);
  // Whoever has the file can be told at once what is wrong with it; the server looks for itself.
  const { header } = await checked(file);
  const connection = await connectedOrFolder(context, { creates: true });
  try {
    const stream = Readable.toWeb(createReadStream(file)) as unknown as ReadableStream<Uint8Array>;
    const imported = await connection.client.importSession(stream);
    const { id } = imported.session;
    if (isJson(context)) printJson(imported);
    else {
      print(`${id}\n`);
      tell(header.sealed ? 'it goes on here, under its own name\n' : `it is a fork of ${header.session}\n`);
    }
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

async function checked(file: string): Promise<Checked> {
  try {
    return await checkExport(() => createReadStream(file));
  } catch (error) {
    if (error instanceof BadExport) throw new CommandError(EXIT.failed, `${file}: ${error.message}`);
    throw error;
  }
}

export const verify: Run = async (context) => {
  const [session] = context.args;
  const connection = await connectedOrFolder(context);
  try {
    const { client } = connection;
    const found =
      session === undefined ? await client.call('data.verify', {}) : await client.call('sessions.verify', { session });
    if (isJson(context)) printJson(found);
    else if (found.damage.length === 0) print(session === undefined ? 'all logs are whole\n' : `${session} is whole\n`);
    else {
      const rows = found.damage.map(({ session: id, seq, code, detail }) => [id, String(seq), code, detail]);
      print(table([['SESSION', 'SEQ', 'DAMAGE', 'DETAIL'], ...rows]));
      if (found.more) tell('there is more\n');
    }
    return found.damage.length === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await connection.close();
  }
};
