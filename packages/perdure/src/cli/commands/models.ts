/** The models that a server knows, with what they cost and take. */
import type { ModelView } from '@perdure/contract';
import { readingModels } from '../connection.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print, printJson, table, tell } from '../output.ts';

const HEAD = ['MODEL', 'READY', 'WINDOW', 'OUTPUT', 'IN $/M', 'CACHED', 'OUT $/M', 'TAKES'];

export const list: Run = async (context) => {
  const page = await readingModels(context, async (client) => client.call('models.list', { limit: 1_000 }));
  const isWanted = (model: ModelView): boolean => context.flags['ready'] !== true || model.ready;
  const models = page.models.filter(isWanted);
  if (isJson(context)) {
    printJson({ ...page, models });
    return EXIT.ok;
  }
  print(table([HEAD, ...models.map(row)]));
  if (models.some(({ price }) => price?.above !== undefined))
    tell('* a long prompt costs more: --json says from where on\n');
  if (page.next !== undefined) tell('there are more\n');
  return EXIT.ok;
};

function row(model: ModelView): string[] {
  const { price, modalities } = model;
  const mark = price?.above === undefined ? '' : '*';
  const takes = ['text', ...(['image', 'file'] as const).filter((kind) => modalities[kind] !== undefined)];
  return [
    model.id,
    model.ready ? 'yes' : 'no',
    model.windowTokens === null ? '' : tokens(model.windowTokens),
    tokens(model.maxOutputTokens),
    price === null ? 'unpriced' : dollars(price.input) + mark,
    price === null ? '' : dollars(price.cachedInput),
    price === null ? '' : dollars(price.output) + mark,
    takes.join(', '),
  ];
}

const tokens = (count: number): string => count.toLocaleString('en-US');
/** Nano-USD for 1,000 tokens are micro-USD for a million. */
const dollars = (rate: number): string => String(rate / 1_000_000);
