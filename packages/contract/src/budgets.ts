/** Budgets of tenants, agents and sessions, a period each. */
import { z } from 'zod';

const tokens = z.int().min(0);
const nanoUsd = z.int().min(0);
const amount = z.strictObject({ tokens, nanoUsd });

export const budgetScopeSchema = z.enum(['tenant', 'agent', 'session']);

/** Caps of a period as a change names them: null lifts one, or all of the period; what is not named stays. */
export const periodPatchSchema = z
  .strictObject({ tokens: tokens.nullable().exactOptional(), nanoUsd: nanoUsd.nullable().exactOptional() })
  .nullable()
  .exactOptional();

export const budgetViewSchema = z.strictObject({
  scope: budgetScopeSchema,
  /** The agent's name or the session's id. */
  name: z.string().exactOptional(),
  /** Who says so. A document goes before the configuration. */
  source: z.enum(['configuration', 'document']),
  /** Of the document; 0: there is none. */
  revision: z.int().min(0),
  /** The periods that now is in: a day, a month (UTC), and all of time. Counted is what was reserved since it was capped. */
  periods: z.array(
    z.strictObject({
      period: z.enum(['day', 'month', 'total']),
      account: z.string(),
      /** A missing one is not capped. */
      cap: z.strictObject({ tokens: tokens.exactOptional(), nanoUsd: nanoUsd.exactOptional() }),
      spent: amount,
      reserved: amount,
      /** When it is over, wall ms; null: never. */
      endsAt: z.int().nullable(),
    }),
  ),
  /** Of a change: what may not be meant, such as an agent that is not defined here. It was made all the same. */
  notices: z.array(z.string()).exactOptional(),
});
export type BudgetView = z.output<typeof budgetViewSchema>;

/** `tenant@2030-01-05`, `agent/NAME@2030-01`, `session/ID@total`: the account of a period. */
const ACCOUNT = /^(?:tenant|(agent|session)\/([^@]+))@(?:(total)|\d{4}-\d\d(-\d\d)?)$/;

/** The command that raises a budget above the session; null: an answer to the wait raises the account. */
export function raiseCommand(account: string): string | null {
  const found = ACCOUNT.exec(account);
  if (found === null) return null;
  const [, scope, name, total, day] = found;
  const whose = scope === undefined ? '' : ` --${scope} ${name}`;
  return `perdure budget set${whose} --${total ?? (day === undefined ? 'month' : 'day')} CAP`;
}
