/** Secrets from outside: set, list, rotate, delete. A value comes in by standard input or the keyboard, and never out. */
import type { Client, SecretView } from '@perdure/contract';
import { noticesOfTools } from '@perdure/runtime';
import { agentsAround } from '../around.ts';
import { connectedOrFolder, serverOf } from '../connection.ts';
import type { Context, FlagValue, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { dateTime, print, printJson, table, tell, tellNotices } from '../output.ts';
import { typed } from '../typed.ts';

export const set: Run = async (context) => {
  const [name = ''] = context.args;
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(name))
    throw new UsageError('NAME has letters, digits, _, . and -; the value comes by standard input or the keyboard');
  const { host, tool, command } = context.flags;
  const bindings = { ...bound('hosts', host), ...bound('tools', tool), ...bound('commands', command) };
  for (const kind of ['hosts', 'commands'] as const)
    if (bindings[kind]?.length === 0)
      throw new UsageError(`--${kind.slice(0, -1)} names none: give one, or leave it out`);
  const value = await typed(`The value of ${name}`);
  const secret = await withSecrets(context, async (api) => api.call('secrets.set', { name, value, ...bindings }), true);
  if (secret.tools !== undefined && secret.notices === undefined && (await serverOf(context)) === null)
    tellNotices({ notices: noticesOfTools(secret.tools, await agentsAround(context)) });
  tellNotices(secret);
  if (isJson(context)) printJson(secret);
  else print(`${name} is set (version ${secret.version}); ${placesOf(secret)}\n`);
  return EXIT.ok;
};

export const list: Run = async (context) => {
  const secrets: SecretView[] = [];
  await withSecrets(context, async (api) => {
    for (let cursor: string | undefined; ;) {
      const page = await api.call('secrets.list', { limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
      secrets.push(...page.secrets);
      cursor = page.next;
      if (cursor === undefined) return;
    }
  });
  if (isJson(context)) printJson({ secrets });
  else if (secrets.length === 0) tell('there are no secrets: perdure secrets set NAME makes one\n');
  else print(table([['NAME', 'VERSION', 'SET', 'KEY', 'GIVEN'], ...secrets.map(row)]));
  return EXIT.ok;
};

export const rotate: Run = async (context) => {
  const rotated = await withSecrets(context, async (api) => api.call('secrets.rotate', {}));
  if (isJson(context)) printJson(rotated);
  else if (rotated.key === null) print('there are no secrets, and no key\n');
  else {
    print(`${rotated.resealed} secrets are sealed anew; all have the key ${rotated.key}\n`);
    if (rotated.left > 0)
      tell(`${rotated.left} further keys are needed no more: take them out of where they are given\n`);
    else if (rotated.resealed === 0) tell('to change a key that is given from outside, put the new one before it\n');
  }
  return EXIT.ok;
};

export const remove: Run = async (context) => {
  const [name = ''] = context.args;
  const deleted = await withSecrets(context, async (api) => api.call('secrets.delete', { name }));
  if (isJson(context)) printJson(deleted);
  else {
    print(`${name} is deleted\n`);
    if (!deleted.shredded) tell('a copy of the data from before still opens with this key: rotate it to end that\n');
  }
  return EXIT.ok;
};

/** With the server that is meant, or with the data itself. */
async function withSecrets<T>(context: Context, work: (api: Client) => Promise<T>, creates = false): Promise<T> {
  const connection = await connectedOrFolder(context, { creates });
  try {
    return await work(connection.client);
  } finally {
    await connection.close();
  }
}

function bound(kind: 'hosts' | 'tools' | 'commands', given: FlagValue | undefined): Bindings {
  const all = given === undefined || given === true ? [] : [given].flat();
  return all.length === 0 ? {} : { [kind]: all.flatMap((each) => each.split(',')).filter((each) => each !== '') };
}

type Bindings = Pick<SecretView, 'hosts' | 'tools' | 'commands'>;

const row = (secret: SecretView): string[] => [
  secret.name,
  String(secret.version),
  dateTime(secret.setAt),
  secret.key,
  secret.problem === undefined ? placesOf(secret) : `to nobody: ${secret.problem}`,
];

function placesOf({ hosts, tools, commands }: SecretView): string {
  if (tools?.length === 0 && commands === undefined)
    return `used by this installation itself${hosts === undefined ? '' : `, for ${hosts.join(', ')}`}`;
  const kinds = Object.entries({ host: hosts, tool: tools, command: commands });
  const named = kinds.flatMap(([kind, names]) => (names === undefined ? [] : [`${kind} ${names.join(', ')}`]));
  return named.length === 0 ? 'bound to nothing: any tool that asks for it by name gets it' : `for ${named.join('; ')}`;
}
