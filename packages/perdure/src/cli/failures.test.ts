import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '@perdure/contract';
import { ConfigError } from '@perdure/runtime';
import { DataInUseError, SettingError } from '../errors.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { known } from './failures.ts';

test('what has a code of ours is told with it', () => {
  assert.equal(known(new ApiError('not_found', 'no such thing')), 'no such thing (not_found)');
  assert.equal(known(new ConfigError('invalid_config', 'a.b', 'is wrong')), 'a.b: is wrong (invalid_config)');
  assert.match(known(new DataInUseError('d', null)) ?? '', /\(data_in_use\)$/);
});

test('bugs, failures of Node, and what has an ending of its own are not taken for it', () => {
  const system = Object.assign(new Error('no'), { code: 'ENOENT' });
  for (const error of [new TypeError('x'), system, new UsageError('x'), new SettingError('--x', 'y'), 'text', null])
    assert.equal(known(error), null);
  assert.equal(known(new CommandError(EXIT.failed, 'x')), null);
});
