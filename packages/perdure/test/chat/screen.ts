/** A person at a terminal that is made of streams: types keys, and reads what stands there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Client } from '@perdure/contract';
import { converse } from '../../src/cli/chat/index.ts';
import { Conversation } from '../../src/cli/chat/conversation.ts';
import type { Context } from '../../src/cli/context.ts';
import { readSettings } from '../../src/settings.ts';

export const KEY = { enter: '\r', ctrlC: '\x03', ctrlD: '\x04', up: '\x1b[A', backspace: '\x7f' } as const;

export type Person = {
  /** Types a line and enters it. */
  type(text: string): void;
  /** Sends keys as they are. */
  keys(text: string): void;
  /** Resolves with all that was written since the last match, up to and with this one. */
  sees(pattern: RegExp): Promise<string>;
  /** All that was written so far, without what steers the terminal. */
  screen(): string;
  readonly left: Promise<number>;
};

export type Seat = {
  readonly env: { [name: string]: string };
  /** A person who starts the shell. */
  sit(client: Client, given?: { session?: string; agent?: string; kind?: 'server' | 'embedded' }): Promise<Person>;
  leave(): void;
};

/** With a folder for what the shell keeps. */
export function createSeat(): Seat {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-chat-'));
  const env: { [name: string]: string } = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'xdg') };
  const people: (() => void)[] = [];
  return {
    env,
    async sit(client, { session, agent, kind = 'server' } = {}) {
      const { settings, origins } = readSettings({ flags: {}, env, dotenv: {} });
      const context: Context = {
        args: [],
        flags: {},
        given: {},
        settings,
        origins,
        own: env,
        dotenv: {},
        env,
        cwd: folder,
      };
      const conversation = new Conversation(client, agent ?? null);
      const view = session === undefined ? null : await conversation.enter(session);
      const input = new PassThrough();
      const output = new PassThrough();
      const place = 'here';
      const left = converse({ kind }, { conversation, view, place, context }, input, output);
      people.push(() => input.end());
      return personAt(input, output, left);
    },
    leave() {
      for (const go of people) go();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function personAt(input: PassThrough, output: PassThrough, left: Promise<number>): Person {
  let text = '';
  let seen = 0;
  const looks = new Set<() => void>();
  output.on('data', (piece: Buffer) => {
    text += piece.toString();
    for (const look of looks) look();
  });
  // oxlint-disable-next-line no-control-regex -- what steers a terminal
  const plain = (given: string): string => given.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '');
  // What erases a line takes it off the screen.
  // oxlint-disable-next-line no-control-regex -- the same
  const screen = (): string => plain(text.replace(/[^\n]*(?:\r\x1b\[J|\x1b\[1G\x1b\[0J)/g, ''));
  const failed = left.then(
    () => 'it was left',
    (error: unknown) => String(error),
  );
  const keys = (given: string): void => void input.write(given);
  return {
    left,
    keys,
    screen,
    type: (line) => keys(`${line}${KEY.enter}`),
    async sees(pattern) {
      const found = new Promise<string>((resolve) => {
        const look = (): void => {
          const rest = plain(text).slice(seen);
          const match = pattern.exec(rest);
          if (match === null) return;
          looks.delete(look);
          seen += match.index + match[0].length;
          resolve(rest.slice(0, match.index + match[0].length));
        };
        looks.add(look);
        look();
      });
      const ended = failed.then((why) => assert.fail(`${why} before ${String(pattern)} was seen:\n${screen()}`));
      return Promise.race([found, ended]);
    },
  };
}
