/**
 * Approvals that hold for like calls, as they were really given, counted and taken back.
 *
 * G1 A grant allows what the person saw that it would, for as long as he said, where he said; and nothing changes it but
 *    that it is revoked.
 * G2 It counts only where the answer that it came with counted.
 * G3 A turn that is answered after its revocation was acknowledged does not go by it, nor one after its time; and no attempt
 *    that is named after it leaves by it, whenever its call was allowed.
 */
import assert from 'node:assert/strict';
import type { AnswerInput, GrantView, WaitView } from '@perdure/contract';
import type { Entry } from '@perdure/engine';
import { turnOf } from '@perdure/engine';
import { effectKey } from '@perdure/runtime';
import type { DocStore } from '@perdure/runtime/ports';
import type { Log, Named } from './truth.ts';

type Rule = GrantView['rule'];
/** What somebody said, and saw: `scope` as the document is named. */
type Said = { scope: string; offer: Rule; forMs: number | undefined };
type Given = { scope: string; grant: GrantView; revokedAt: number | null };

/** Of a tenant that is nobody's here: what it allows allows nothing. */
export const OTHER_TENANT = 'other';

export class Grants {
  /** By session and wait. */
  readonly #said = new Map<string, Said[]>();
  /** By scope and id; `revokedAt`: the completion after which its revocation was acknowledged. */
  readonly #given = new Map<string, Given>();
  readonly #answered = new Set<string>();
  /** By the key of a turn: the completion at which its model answered last. */
  readonly #replied = new Map<string, number>();
  /** By the key of a call: the grant that it goes by, and the completion at which its newest attempt was named. */
  readonly #going = new Map<string, { given: Given; namedAt: number }>();

  /** What another tenant has is there before anybody else comes: everything is allowed there. */
  async foreign(docs: DocStore): Promise<void> {
    const grant = { id: 'gforeign', rule: { decision: 'allow', tool: '*' }, at: 0, by: { kind: 'user', id: 'other' } };
    for (const scope of ['tenant', 'agent:worker'])
      await docs.put('policy', scope, { rules: [], grants: [{ ...grant, session: 'ses_other', wait: 'w1' }] }, 0);
  }

  /** Somebody is about to answer. */
  asked(wait: WaitView, answer: AnswerInput): void {
    if (!('grant' in answer) || answer.grant === undefined || wait.offer === undefined) return;
    const key = `${wait.session} ${wait.id}`;
    const { scope, forMs } = answer.grant;
    const name = { session: `session:${wait.session}`, agent: 'agent:worker', tenant: 'tenant' }[scope];
    this.#said.set(key, [...(this.#said.get(key) ?? []), { scope: name, offer: wait.offer, forMs }]);
  }

  /** A document was written. */
  written(scope: string, doc: unknown): void {
    const { grants } = (doc ?? { grants: [] }) as { grants: (GrantView & { pending?: true })[] };
    for (const { pending, ...grant } of grants) {
      if (pending === true) continue;
      const name = `${scope}.${grant.id}`;
      const known = this.#given.get(name);
      if (known === undefined) this.#first(scope, grant);
      else {
        const { revokedAt: before, ...was } = known.grant;
        const { revokedAt: now, ...is } = grant;
        assert.deepEqual(is, was, `the grant ${name} stays what it was given as [G1]`);
        assert.ok(before === undefined || before === now, `the grant ${name} stays revoked [G3]`);
        known.grant = grant;
      }
    }
  }

  #first(scope: string, grant: GrantView): void {
    const name = `${scope}.${grant.id}`;
    const { expiresAt, ...rule } = grant.rule;
    const forMs = expiresAt === undefined ? undefined : expiresAt - grant.at;
    const said = this.#said.get(`${grant.session} ${grant.wait}`) ?? [];
    const asSeen = said.some((each) => {
      const isWhere = each.scope === scope && each.forMs === forMs;
      return isWhere && JSON.stringify(each.offer) === JSON.stringify(rule);
    });
    assert.ok(asSeen, `the grant ${name} allows ${JSON.stringify(grant.rule)}, which nobody saw and said [G1]`);
    assert.ok(this.#answered.has(name), `the grant ${name} counts when its answer is in the log [G2]`);
    this.#given.set(name, { scope, grant, revokedAt: null });
  }

  revoked(scope: string, id: string, event: number): void {
    const given = this.#given.get(`${scope}.${id}`);
    assert.ok(given?.grant.revokedAt !== undefined, `the revocation of ${scope}.${id} was acknowledged [P1]`);
    given.revokedAt ??= event;
  }

  replied(turn: string, event: number): void {
    this.#replied.set(turn, event);
  }

  /** `isTimeTold`: no clock has jumped. `event`: the completion. */
  seen(log: Log, entry: Entry, isTimeTold: boolean, event: number): void {
    const going =
      entry.kind === 'call.attempted' ? this.#going.get(effectKey('default', log.id, `${entry.effect}`)) : null;
    if (going !== null && going !== undefined) going.namedAt = event;
    if (entry.kind === 'wait.resolved' && entry.data.answer?.kind === 'approval') {
      const { grant } = entry.data.answer;
      if (grant !== undefined) this.#answered.add(grant);
    }
    if (entry.kind !== 'call.requested' || entry.effect === undefined) return;
    const [, scope = '', id = ''] = /^grant (\S+)\.(g\w+) /.exec(entry.data.rule) ?? [];
    if (id === '') return;
    const what = `${log.id} ${entry.effect}`;
    const given = this.#given.get(`${scope}.${id}`);
    assert.ok(given !== undefined, `${what} goes by ${scope}.${id}, which nobody gave here [G1, P12]`);
    assert.ok(
      ['tenant', 'agent:worker', `session:${log.id}`].includes(scope),
      `${what} goes by a grant of its own [G1]`,
    );
    const { rule } = given.grant;
    assert.equal(rule.tool, entry.data.name, `${what} goes by a grant of its tool [G1]`);
    if (isTimeTold) assert.ok(entry.at <= (rule.expiresAt ?? Infinity), `${what} goes by a grant after its time [G3]`);
    const turn = effectKey('default', log.id, turnOf(entry.effect as `r${number}t${number}c${number}`));
    const repliedAt = this.#replied.get(turn) ?? 0;
    assert.ok(repliedAt <= (given.revokedAt ?? Infinity), `${what} goes by a grant that was revoked before [G3]`);
    this.#going.set(effectKey('default', log.id, entry.effect), { given, namedAt: event });
  }

  /** What leaves by a grant is within it. */
  dispatched(named: Named, args: unknown): void {
    const going = this.#going.get(named.key);
    if (going === undefined) return;
    const { namedAt, given } = going;
    const what = `${named.session} ${named.effect}`;
    assert.ok(namedAt <= (given.revokedAt ?? Infinity), `${what} leaves by a grant that was revoked before [G3]`);
    const { rule } = given.grant;
    if (rule.paths === undefined) return;
    const { path } = args as { path: string };
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const globs = rule.paths;
    const isWithin = globs.includes(path) || (folder !== '' && globs.includes(`${folder}**`));
    assert.ok(isWithin, `${what} writes ${path}, by a grant for ${globs.join(', ')} [G1]`);
  }
}
