/** Remembers a server. It is asked first: what does not answer, or refuses the token, is not remembered. */
import { checkedUrl, remote } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { print, printJson } from '../output.ts';
import { forget, recall, remember } from '../remembered.ts';

export const connect: Run = async (context) => {
  const { args, env, flags, given: named, settings } = context;
  const [given] = args;
  if (given === undefined && named['token'] !== undefined) throw new UsageError('connect takes --token with a URL');
  const say = (url: string | null, text: string): void => (isJson(context) ? printJson({ url }) : print(`${text}\n`));
  if (flags['forget'] === true) {
    if (given !== undefined) throw new UsageError('connect takes a URL or --forget, not both');
    forget(env);
    say(null, 'Forgotten: commands find the server of their data folder.');
    return EXIT.ok;
  }
  if (given === undefined) {
    const url = recall(env)?.url ?? null;
    say(url, url === null ? 'No server is remembered.' : `Commands talk to ${url}.`);
    return EXIT.ok;
  }
  const url = checkedUrl(given, 'connect').replace(/\/+$/, '');
  const server = settings.token === null ? { url } : { url, token: settings.token };
  const { agents } = await remote(server).client.call('agents.list', {});
  remember(env, server);
  say(
    url,
    `Connected to ${url} with ${agents.length === 1 ? 'one agent' : `${agents.length} agents`}; perdure connect --forget undoes it.`,
  );
  return EXIT.ok;
};
