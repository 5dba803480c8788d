/**
 * Rules and grants as documents: of the tenant, of an agent, of a session.
 *
 * D1 A document has one revision for its rules and its grants; a change names the one it saw, or is done again on the new one.
 * D2 What counts for a call is what stood in the documents when its turn was prepared; the entry names that, as a blob. What
 *    denies it by the time it runs counts as well, as does that a grant was revoked by then; the entry of its end names that
 *    (see dispatch.ts).
 * D3 A grant is an `allow` rule with a name: it lifts what asks, never what denies. It is made of a wait that was answered,
 *    once: the same answer again finds it, also where it was revoked.
 * D4 It is written before its answer and counts only after it: one whose answer never came into the log lifts nothing.
 */
import type { GrantView, PolicyView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Actor, PolicyRule } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import { canonicalJson, sha256 } from '../log/digest.ts';
import type { Clock, DocStore } from '../ports.ts';
import type { FiledRule } from './policy.ts';
import { misfitOfRule, ruleText } from './rules.ts';
import type { Soon } from '../soon.ts';

const KIND = 'policy';
/** `pending`: nobody has seen its answer in the log yet (D4). */
type FiledGrant = GrantView & { pending?: true };
type Document = { rules: readonly PolicyRule[]; grants: readonly FiledGrant[] };
type Versioned = { revision: number; document: Document };
const NOTHING: Versioned = { revision: 0, document: { rules: [], grants: [] } };

/** What the documents say of calls now. `text`: all of it, for the log; null: nothing. */
export type InForce = { filed: readonly FiledRule[]; text: string | null };

const NOT_ANY: InForce = { filed: [], text: null };

export const scopesOf = (agent: string, session: string): string[] => [
  'tenant',
  `agent:${agent}`,
  `session:${session}`,
];
/** Made of what it says: the same rule has the same name. */
const ruleId = (rule: PolicyRule): string => `r${shortened(sha256(canonicalJson(rule)))}`;
/** To be typed and pasted: an id that began with a dash would be taken for a flag. */
const shortened = (digest: string): string => digest.replaceAll(/[^0-9A-Za-z]/g, '').slice(0, LIMITS.ruleIdChars);
/** One answer gives one grant. `answer`: its digest. */
export const grantId = (session: string, wait: string, answer: string): string =>
  `g${shortened(sha256(`${session}.${wait}.${answer}`))}`;

export class PolicyDocuments {
  readonly #docs: DocStore;
  /** Null: another process may write, too, so that each look is at the store. */
  readonly #known: Map<string, Versioned> | null;
  /** The scopes that have a document, where only this process writes: nearly no session has one, and none is asked for in vain. */
  #scopes: Soon<Set<string>> | null = null;

  /** How often a write began or ended, and how many are under way. */
  #writes = 0;
  #writing = 0;
  /** What was in force where another process may write, and when (monotonic ms) the store was asked. */
  readonly #seen = new Map<string, { at: number; inForce: InForce }>();
  readonly #clock: Pick<Clock, 'monotonicMs'>;

  constructor(docs: DocStore, isShared: boolean, clock: Pick<Clock, 'monotonicMs'>) {
    this.#docs = docs;
    this.#clock = clock;
    this.#known = isShared ? null : new Map();
  }

  /** `withinMs`: what the store said no longer ago than this is good enough. */
  inForce(agent: string, session: string, withinMs = 0): Soon<InForce> {
    if (this.#known === null) return this.#seenInForce(agent, session, withinMs);
    const filed = this.#filed();
    if (filed instanceof Promise) return filed.then(() => this.inForce(agent, session));
    return filed.size === 0 ? NOT_ANY : this.#inForce(agent, session);
  }

  async #seenInForce(agent: string, session: string, withinMs: number): Promise<InForce> {
    const key = `${agent}\n${session}`;
    const at = this.#clock.monotonicMs();
    const seen = this.#seen.get(key);
    if (seen !== undefined && at - seen.at < withinMs) return seen.inForce;
    const inForce = await this.#inForce(agent, session);
    if (this.#seen.size >= LIMITS.policyDocuments) this.#seen.clear();
    this.#seen.set(key, { at, inForce });
    return inForce;
  }

  async #inForce(agent: string, session: string): Promise<InForce> {
    return inForceFor(agent, session, async (scope) => this.#read(scope));
  }

  async get(scope: string): Promise<PolicyView> {
    return viewOf(scope, await this.#read(scope));
  }

  async list(after: string | null, limit: number): Promise<PolicyView[]> {
    const docs = await this.#docs.list(KIND, { after, limit });
    return docs.map(({ id, revision, doc }) => viewOf(id, { revision, document: doc as Document }));
  }

  /** Throws ApiError `invalid_request` for a rule that cannot be obeyed, `revision_conflict`. */
  async set(
    scope: string,
    rules: readonly PolicyRule[],
    { ifRevision, at }: { ifRevision?: number | undefined; at: number },
  ): Promise<PolicyView> {
    // Rules that are over may stay where they are.
    const there = new Set((await this.#read(scope)).document.rules.map(ruleId));
    for (const [index, rule] of rules.entries()) checkRule(rule, `rules.${index}`, there.has(ruleId(rule)) ? 0 : at);
    return this.#change(scope, ({ revision, document }) => {
      if (ifRevision !== undefined && ifRevision !== revision)
        throw new ApiError('revision_conflict', `the rules of ${scope} are at revision ${revision}`, {
          details: { revision },
        });
      return { ...document, rules: unique(rules) };
    });
  }

  /** `at`: wall ms of now. Throws as `set`. */
  async add(scope: string, rule: PolicyRule, at: number): Promise<PolicyView> {
    checkRule(rule, 'rule', at);
    return this.#change(scope, ({ document }) => ({ ...document, rules: unique([...document.rules, rule]) }));
  }

  async remove(scope: string, id: string): Promise<PolicyView> {
    return this.#change(scope, ({ document }) => {
      const rules = document.rules.filter((rule) => ruleId(rule) !== id);
      if (rules.length === document.rules.length) throw new ApiError('not_found', `${scope} has no rule ${id}`);
      return { ...document, rules };
    });
  }

  /** The grant of an answer that is about to be given; one that was given before stays as it is (D3, D4). */
  async propose(scope: string, grant: GrantView): Promise<void> {
    await this.#change(scope, ({ document }) =>
      document.grants.some(({ id }) => id === grant.id)
        ? document
        : { ...document, grants: [...withRoom(document.grants, scope, grant.at), { ...grant, pending: true }] },
    );
  }

  /** Its answer is in the log: from now on it counts. `grant`: where it is known, in case it had to make room. */
  async confirm(scope: string, id: string, grant: GrantView | null): Promise<void> {
    await this.#change(scope, ({ document }) => {
      const { grants } = document;
      if (grants.some((each) => each.id === id))
        return { ...document, grants: grants.map((each) => (each.id === id ? settled(each) : each)) };
      return grant === null ? document : { ...document, grants: [...withRoom(grants, scope, grant.at), grant] };
    });
  }

  /** Its answer was refused. */
  async withdraw(scope: string, id: string): Promise<void> {
    await this.#change(scope, ({ document }) => ({
      ...document,
      grants: document.grants.filter((grant) => grant.id !== id || grant.pending !== true),
    }));
  }

  async revoke(scope: string, id: string, at: number): Promise<PolicyView> {
    return this.#change(scope, ({ document }) => {
      if (!document.grants.some((grant) => grant.id === id && grant.pending !== true))
        throw new ApiError('not_found', `${scope} has no grant ${id}`);
      const grants = document.grants.map((grant) =>
        grant.id === id && grant.revokedAt === undefined ? { ...grant, revokedAt: at } : grant,
      );
      return { ...document, grants };
    });
  }

  /** The session is gone. */
  async forget(session: string): Promise<void> {
    const scope = `session:${session}`;
    const { revision } = await this.#read(scope);
    if (revision > 0) await this.#docs.put(KIND, scope, null, revision);
    this.#known?.delete(scope);
  }

  async #read(scope: string): Promise<Versioned> {
    const known = this.#known?.get(scope);
    if (known !== undefined) return known;
    if (this.#known !== null && !(await this.#filed()).has(scope)) return NOTHING;
    const writes = this.#writes;
    const read = await readDocument(this.#docs, scope);
    // What was read while somebody wrote may be what stood there before.
    if (writes === this.#writes && this.#writing === 0) this.#keep(scope, read);
    return read;
  }

  #filed(): Soon<Set<string>> {
    if (this.#scopes !== null) return this.#scopes;
    const listing = this.#list();
    this.#scopes = listing;
    listing.then(
      (scopes) => (this.#scopes = scopes),
      // A store that fails now may answer later.
      () => (this.#scopes = null),
    );
    return listing;
  }

  async #list(): Promise<Set<string>> {
    const scopes = new Set<string>();
    for (let after: string | null = null; ;) {
      const docs = await this.#docs.list(KIND, { after, limit: LIMITS.policyDocuments });
      for (const { id } of docs) scopes.add(id);
      after = docs.at(-1)?.id ?? null;
      if (after === null || docs.length < LIMITS.policyDocuments) return scopes;
    }
  }

  #keep(scope: string, read: Versioned): void {
    if (this.#known === null) return;
    if (this.#known.size >= LIMITS.policyDocuments) this.#known.clear();
    this.#known.set(scope, read);
  }

  /** What stands there is known by nobody until it has ended; one that failed may have written all the same. */
  async #put(scope: string, document: Document, revision: number): ReturnType<DocStore['put']> {
    const forget = (writing: 1 | -1): void => {
      this.#writing += writing;
      this.#writes += 1;
      this.#known?.delete(scope);
      this.#seen.clear();
    };
    forget(1);
    return this.#docs.put(KIND, scope, document, revision).finally(() => forget(-1));
  }

  /** D1. */
  async #change(scope: string, change: (now: Versioned) => Document): Promise<PolicyView> {
    for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
      const now = await this.#read(scope);
      const document = change(now);
      if (canonicalJson(document) === canonicalJson(now.document)) return viewOf(scope, now);
      if (this.#known !== null) (await this.#filed()).add(scope);
      const put = await this.#put(scope, document, now.revision);
      if (!put.ok) continue;
      const written = { revision: put.revision, document };
      this.#keep(scope, written);
      return viewOf(scope, written);
    }
    throw new ApiError('revision_conflict', `the rules of ${scope} are being changed by others: try again`);
  }
}

async function readDocument(docs: Pick<DocStore, 'get'>, scope: string): Promise<Versioned> {
  const doc = await docs.get(KIND, scope);
  return doc === null ? NOTHING : { revision: doc.revision, document: doc.doc as Document };
}

async function inForceFor(
  agent: string,
  session: string,
  read: (scope: string) => Promise<Versioned>,
): Promise<InForce> {
  const scopes = scopesOf(agent, session);
  const all = await Promise.all(scopes.map(async (scope) => ({ scope, ...(await read(scope)) })));
  const filed = all.flatMap(({ scope, revision, document }) => filedOf(scope, revision, document));
  if (filed.length === 0) return NOT_ANY;
  const documents = all.map(({ scope, revision, document: { rules, grants } }) => ({
    scope,
    revision,
    rules,
    grants: grants.filter(isStanding),
  }));
  return { filed, text: canonicalJson({ documents }) };
}

/** What the documents say, for who only reads. */
export const filedNow = async (
  docs: Pick<DocStore, 'get'>,
  agent: string,
  session: string,
): Promise<readonly FiledRule[]> =>
  (await inForceFor(agent, session, async (scope) => readDocument(docs, scope))).filed;

/** What stood in force when an entry was written that names this blob. */
export function filedIn(text: string): FiledRule[] {
  const { documents } = JSON.parse(text) as { documents: (Document & { scope: string; revision: number })[] };
  return documents.flatMap(({ scope, revision, ...document }) => filedOf(scope, revision, document));
}

function filedOf(scope: string, revision: number, { rules, grants }: Document): FiledRule[] {
  return [
    ...rules.map((rule): FiledRule => ({ rule, told: `rule of ${scope} (revision ${revision}) ${ruleText(rule)}` })),
    ...grants
      .filter(isStanding)
      .map(({ id, rule }): FiledRule => ({ rule, told: `grant ${scope}.${id} ${ruleText(rule)}` })),
  ];
}

const viewOf = (scope: string, { revision, document: { rules, grants } }: Versioned): PolicyView => ({
  scope,
  revision,
  rules: rules.map((rule) => ({ id: ruleId(rule), ...rule })),
  grants: grants.filter(({ pending }) => pending !== true),
});

const isStanding = ({ revokedAt, pending }: FiledGrant): boolean => revokedAt === undefined && pending !== true;
const settled = ({ pending: _pending, ...grant }: FiledGrant): FiledGrant => grant;

function unique(rules: readonly PolicyRule[]): PolicyRule[] {
  if (rules.length > LIMITS.policyRules)
    throw new ApiError('too_large', `a scope has at most ${LIMITS.policyRules} rules`);
  return [...new Map(rules.map((rule) => [ruleId(rule), rule])).values()];
}

/** Those that count no more make room, the oldest first. */
function withRoom(grants: readonly FiledGrant[], scope: string, at: number): FiledGrant[] {
  if (grants.length < LIMITS.policyGrants) return [...grants];
  const over = grants.findIndex((grant) => !isStanding(grant) || (grant.rule.expiresAt ?? Infinity) <= at);
  if (over < 0) throw new ApiError('too_large', `${scope} has ${grants.length} grants: revoke some, or write a rule`);
  return grants.toSpliced(over, 1);
}

function checkRule(rule: PolicyRule, place: string, at: number): void {
  const isOver = rule.expiresAt !== undefined && rule.expiresAt <= at;
  const over = { path: 'expiresAt', message: `expiresAt is over: write the time in ms when the rule ends` };
  const misfit = misfitOfRule(rule) ?? (isOver ? over : null);
  if (misfit !== null)
    throw new ApiError('invalid_request', misfit.message, { details: { path: `${place}.${misfit.path}` } });
}

/** Who gave a grant, in which answer. */
export type Granting = { session: string; wait: string; answer: string; by: Actor; at: number };

export function grantOf(
  rule: PolicyRule,
  forMs: number | undefined,
  { session, wait, answer, by, at }: Granting,
): GrantView {
  const lasting = forMs === undefined ? rule : { ...rule, expiresAt: at + forMs };
  return { id: grantId(session, wait, answer), rule: lasting, at, by, session, wait };
}
