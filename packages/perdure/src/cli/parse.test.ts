import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './exit.ts';
import { SETTINGS } from '../settings.ts';
import { parse } from './parse.ts';
import type { Flag } from './table.ts';
import { COMMANDS } from './table.ts';

const refusal = (...words: string[]): string => {
  try {
    parse(words);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return assert.fail(`accepted: ${words.join(' ')}`);
};

test('a command is one word or two; flags that are settings are told from those that are its own', () => {
  const { name, args, flags, settings } = parse(['sessions', 'list', '--json', '--url', 'http://x', '--agent=a']);
  assert.deepEqual([name, args], ['sessions list', []]);
  assert.deepEqual({ ...flags }, { json: true, agent: 'a' });
  assert.deepEqual({ ...settings }, { url: 'http://x' });
});

test('what begins with a dash can be a message behind two dashes', () => {
  assert.deepEqual(parse(['run', '--', '-3 + 4']).args, ['-3 + 4']);
});

test('the usual flags for help and version are commands', () => {
  assert.equal(parse(['--version']).name, 'version');
  assert.equal(parse([]).name, 'help');
  assert.equal(parse(['-h']).name, 'help');
  assert.equal(parse(['run', '--help']).help, true);
  assert.deepEqual([parse(['waits', '--help']).name, parse(['waits', '--help']).args], ['help', ['waits']]);
});

test('what is not known is refused, with what is near', () => {
  assert.match(refusal('upp'), /no command 'upp': did you mean up\?/);
  assert.match(refusal('session', 'list'), /did you mean sessions\?/);
  assert.match(refusal('up', '--prot', '1'), /up has no flag --prot: did you mean --port\?/);
  assert.match(refusal('sessions'), /nothing to do with sessions: write sessions list/);
  assert.match(refusal('sessions', 'lst'), /'lst' of sessions/);
  assert.match(refusal('up', '--json'), /no flag --json/);
});

test('missing and surplus words are refused', () => {
  assert.match(refusal('run'), /needs MESSAGE/);
  assert.match(refusal('waits', 'answer', 'x'), /needs ANSWER/);
  assert.match(refusal('run', 'hello', 'there'), /put the message in quotes/);
  assert.match(refusal('up', 'now'), /does not take 'now'/);
  assert.equal(refusal('up', '--port'), 'up: --port needs PORT behind it');
});

test('a flag that takes one value is given once, of every command; one that takes several may come again', () => {
  for (const [name, { flags, settings }] of Object.entries(COMMANDS))
    for (const [flag, { value, many }] of [
      ...Object.entries(flags),
      ...settings.filter((each) => SETTINGS[each].flag !== null).map((each) => [each, { value: 'X' }] as const),
    ] as [string, Flag][]) {
      if (value === null) continue;
      const words = [...name.split(' '), `--${flag}=a`, `--${flag}=b`, '--help'];
      if (many === true) assert.deepEqual(parse(words).flags[flag], ['a', 'b'], name);
      else assert.equal(refusal(...words), `${name}: --${flag} is given twice, and takes one value`);
    }
  assert.deepEqual({ ...parse(['status', '--json', '--json']).flags }, { json: true });
});

test('a flag without its value, or with one that it does not take, is told in our words', () => {
  assert.equal(refusal('run', 'hi', '--attach'), 'run: --attach needs FILE behind it');
  assert.equal(
    refusal('simulate', '--seeds', '-1'),
    'simulate: --seeds needs N behind it, not another flag; what begins with a dash is written --seeds=N',
  );
  assert.match(refusal('run', 'hi', '--attach', '--quiet'), /^run: --attach needs FILE behind it, not another flag/);
  assert.equal(refusal('run', 'hi', '--quiet=yes'), 'run: --quiet stands alone, without a value');
  assert.equal(refusal('run', 'hi', '--help=yes'), 'run: --help stands alone, without a value');
});
