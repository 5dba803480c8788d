import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type PostgresService, postgresMissing, startPostgres } from '@perdure/testkit/services';
import { createPlace } from './process.ts';

const missing = postgresMissing();
const PASSWORD = 'EXAMPLE-of-a-password';

describe('the command on Postgres', { skip: missing ?? false }, () => {
  const place = createPlace();
  let server: PostgresService;
  let env: { [name: string]: string };
  before(async () => {
    if (missing !== null) return;
    server = await startPostgres();
    env = { PERDURE_STORE: server.url().replace('postgres@', `postgres:${PASSWORD}@`) };
  });
  after(async () => {
    await place.leave();
    await server?.dispose();
  });

  test('migrate says for CI whether the schema is up to date, and brings it there', async () => {
    const check = async () => place.run(['migrate', '--check', '--json'], env);
    const empty = await check();
    assert.equal(empty.code, 1);
    assert.equal(JSON.parse(empty.stdout).version, 0);
    const ran = await place.run(['migrate'], env);
    assert.match(ran.stdout, /^postgres:\/\/127\.0\.0\.1:\d+\/postgres: ran 1 \(tables\), .*\n$/);
    assert.equal(ran.code, 0);
    const done = await check();
    assert.deepEqual([done.code, JSON.parse(done.stdout).pending], [0, []]);
  });

  test('a server on it works, is told of by doctor, and is found dead or alive by the next one; its password is nowhere', async () => {
    const up = place.start(['up', '--port', '0'], env);
    const said = await up.printed(/Ctrl-C stops it/);
    assert.match(said, /data {5}postgres:\/\/127\.0\.0\.1:\d+\/postgres, its own things in \.perdure/);
    const ran = await place.run(['run', 'What is 2 + 3?'], env);
    assert.match(ran.stdout, /2 \+ 3 = 5/);
    const doctor = await place.run(['doctor'], env);
    assert.match(
      doctor.stdout,
      /warn +store +postgres:\/\/127\.0\.0\.1:\d+\/postgres, Postgres \d+.*, schema version \d+, its clock.*as a superuser/,
    );
    assert.match((await place.run(['up'], env)).stdout, /already runs on this data/);
    up.kill('SIGKILL');
    const ended = await up.ended;
    const again = await place.run(['run', 'What is 4 + 5?'], env);
    assert.match(again.stdout, /4 \+ 5 = 9/);
    const list = await place.run(['sessions', 'list', '--json'], env);
    assert.equal(JSON.parse(list.stdout).sessions.length, 2);
    const verified = await place.run(['sessions', 'verify'], env);
    assert.match(verified.stdout, /all logs are whole/);
    for (const { stdout, stderr } of [ended, ran, doctor, again, list, verified])
      assert.ok(!(stdout + stderr).includes(PASSWORD));
  });
});
