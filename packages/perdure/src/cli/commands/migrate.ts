/** Brings a store's schema up to date, or says for CI whether it is. */
import { system } from '@perdure/runtime';
import { isPostgres } from '../../settings.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT } from '../exit.ts';
import { localOf } from '../local.ts';
import { print, printJson } from '../output.ts';

export const migrate: Run = async (context) => {
  const { store } = (await localOf(context)).settings;
  if (!isPostgres(store)) {
    if (isJson(context)) printJson({ store, pending: [], ran: [] });
    else print(`a store of kind ${store} needs no migration: it is brought up to date when it is opened\n`);
    return EXIT.ok;
  }
  const { migratePostgres, placeOf, readPostgresSchema } = await import('@perdure/stores/postgres');
  const options = { url: store, timers: system.timers };
  const place = placeOf(store);
  if (context.flags['check'] === true) {
    const { version, pending } = await readPostgresSchema(options);
    tell(context, { store: place, version, pending, ran: [] });
    return pending.length === 0 ? EXIT.ok : EXIT.failed;
  }
  const ran = await migratePostgres(options);
  const { version, pending } = await readPostgresSchema(options);
  tell(context, { store: place, version, pending, ran });
  return EXIT.ok;
};

type Step = { id: number; name: string };
type Told = { store: string; version: number; pending: readonly Step[]; ran: readonly Step[] };

function tell(context: Context, told: Told): void {
  const { store, version, pending, ran } = told;
  const named = (steps: readonly Step[]): string => steps.map(({ id, name }) => `${id} (${name})`).join(', ');
  if (isJson(context)) printJson(told);
  else if (ran.length > 0) print(`${store}: ran ${named(ran)}; the schema has version ${version}\n`);
  else if (pending.length > 0) print(`${store}: version ${version}, to be run: ${named(pending)}\n`);
  else print(`${store}: version ${version}, up to date\n`);
}
