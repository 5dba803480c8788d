/**
 * Proposed policies held against what sessions have done: each recorded call is ruled on anew, as things stood then, with
 * the proposed ones added to what bound it. Reads only; nothing is called.
 *
 * T1 What is compared is the ruling, not the model: what it would have done after a denial, nobody knows. So what would
 *    have been saved is said as the cost of the turns that followed: at most that.
 */
import type { PolicyFinding, PolicyTest } from '@perdure/contract';
import type { Caps, Entry, Policies, Run, State } from '@perdure/engine';
import { evolve, freshState, tokensOf } from '@perdure/engine';
import type { Manifest } from '../definitions/agents.ts';
import type { AskedWith } from '../effects/calls.ts';
import { askedIn } from '../effects/calls.ts';
import { LIMITS } from '../limits.ts';
import { decodeFrame } from '../log/frame.ts';
import type { ReadTenant, SessionRow } from '../ports.ts';
import { filedIn } from './documents.ts';
import { joinPolicies, judged, ruleOn, standingNow } from './policy.ts';

export type Proposal = { policies: Policies; caps?: Caps; since: number };
type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

/** One page of sessions. */
export async function rehearse(
  store: ReadTenant,
  proposal: Proposal,
  { cursor, limit }: { cursor: string | undefined; limit: number },
): Promise<PolicyTest> {
  const page = await store.log.list(cursor === undefined ? { limit } : { limit, cursor });
  const test: PolicyTest = { sessions: 0, calls: 0, unread: [], findings: [] };
  const blobs = new Map<string, string>();
  for (const row of page.items) {
    if (row.updatedAt < proposal.since) continue;
    const session = new SessionRehearsal(store, proposal, row, blobs);
    test.sessions += 1;
    if (!(await session.run())) test.unread.push(row.id);
    test.calls += session.calls;
    test.findings.push(...session.findings);
  }
  if (page.next !== null) test.next = page.next;
  return test;
}

class SessionRehearsal {
  readonly findings: PolicyFinding[] = [];
  calls = 0;
  readonly #store: ReadTenant;
  readonly #proposal: Proposal;
  readonly #row: SessionRow;
  readonly #blobs: Map<string, string>;
  readonly #state: State = freshState();
  /** The first finding of each run that would have stopped it, and what the run had cost before its last turn. */
  readonly #stopped = new Map<string, PolicyFinding>();
  readonly #spent = new Map<string, { nanoUsd: number; tokens: number; before: number }>();

  constructor(store: ReadTenant, proposal: Proposal, row: SessionRow, blobs: Map<string, string>) {
    this.#store = store;
    this.#proposal = proposal;
    this.#row = row;
    this.#blobs = blobs;
  }

  /** False where its log cannot be read to the end. */
  async run(): Promise<boolean> {
    try {
      for (let after = 0; ;) {
        const frames = await this.#store.log.read(this.#row.id, { after, limit: LIMITS.pageFrames });
        for (const frame of frames) {
          for (const entry of decodeFrame(frame)) await this.#take(entry);
          after = frame.first + frame.count - 1;
        }
        if (frames.length < LIMITS.pageFrames) return true;
      }
    } catch {
      return false;
    }
  }

  async #take(entry: Entry): Promise<void> {
    if (entry.kind === 'wait.resolved') this.#heard(entry);
    if (entry.kind === 'turn.settled') this.#paid(entry);
    if (entry.kind === 'call.requested' && entry.at >= this.#proposal.since) await this.#rule(entry);
    evolve(this.#state, entry);
  }

  async #rule(entry: Of<'call.requested'>): Promise<void> {
    const { data, effect, run: id, at } = entry;
    const run = this.#state.runs.get(id as Run['id']);
    if (data.decision === 'invalid' || run === undefined || effect === undefined) return;
    const manifest = await this.#blob(run.pin?.manifest ?? '');
    const declared = (JSON.parse(manifest) as Manifest).tools.find(({ name }) => name === data.name);
    if (declared === undefined) return;
    this.calls += 1;
    const { policies: bound } = JSON.parse(manifest) as Manifest;
    const policies = joinPolicies(bound, run.config.policies, this.#proposal.policies);
    const filed = data.policy === undefined ? [] : filedIn(await this.#blob(data.policy));
    const before = this.#spent.get(run.id)?.before ?? 0;
    const standing = { ...standingNow(this.#state, run, at), nanoUsd: before };
    const { args, reached } = await this.#asked(run, data.index);
    const call = judged(data.name, declared, args, data.digest, reached);
    const { verdict, rule } = ruleOn(call, { policies, filed, standing });
    if (verdict === data.decision) return;
    const place = { session: this.#row.id, run: run.id, effect, tool: data.name, at };
    this.#found({
      ...place,
      was: data.decision,
      would: verdict,
      rule,
      contradicts: false,
      savedNanoUsd: 0,
      savedTokens: 0,
    });
  }

  #found(finding: PolicyFinding): void {
    this.findings.push(finding);
    if (finding.would === 'deny' && !this.#stopped.has(finding.run)) this.#stopped.set(finding.run, finding);
  }

  /** What a person said of a call. */
  #heard({ data }: Of<'wait.resolved'>): void {
    if (data.answer?.kind !== 'approval') return;
    const call = this.#state.waits.get(data.wait)?.call;
    const finding = this.findings.findLast(({ effect }) => effect === call);
    if (finding === undefined) return;
    const approved = data.answer.decision === 'approve';
    finding.human = approved ? 'approved' : 'denied';
    finding.contradicts = finding.would === (approved ? 'deny' : 'allow');
  }

  #paid({ data, run, effect, at }: Of<'turn.settled'>): void {
    if (run === undefined || effect === undefined) return;
    const spent = this.#spent.get(run) ?? { nanoUsd: 0, tokens: 0, before: 0 };
    const tokens = tokensOf(data.usage);
    const stopped = this.#stopped.get(run);
    if (stopped !== undefined) {
      stopped.savedNanoUsd += data.cost.nanoUsd;
      stopped.savedTokens += tokens;
    }
    const now = { nanoUsd: spent.nanoUsd + data.cost.nanoUsd, tokens: spent.tokens + tokens, before: spent.nanoUsd };
    this.#spent.set(run, now);
    const { caps = {}, since } = this.#proposal;
    const over =
      now.nanoUsd > (caps.nanoUsd ?? Infinity) ? 'money' : now.tokens > (caps.tokens ?? Infinity) ? 'tokens' : null;
    if (over === null || stopped !== undefined || at < since) return;
    const rule = `the run is over the proposed cap of ${over}`;
    const saved = { savedNanoUsd: data.cost.nanoUsd, savedTokens: tokens };
    this.#found({
      session: this.#row.id,
      run,
      effect,
      at,
      was: 'allow',
      would: 'deny',
      rule,
      contradicts: false,
      ...saved,
    });
  }

  async #asked(run: Run, index: number): Promise<AskedWith> {
    const body = run.turn?.body;
    if (body === null || body === undefined) return { args: undefined, reached: null };
    const text =
      (await this.#store.log.body(this.#row.id, body.seq, body.digest))?.text ?? (await this.#blob(body.digest));
    return askedIn(text, index);
  }

  /** Throws where it is not stored any more. */
  async #blob(digest: string): Promise<string> {
    const known = this.#blobs.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.#store.blobs.get(digest);
    if (bytes === null) throw new Error(`blob ${digest} is not stored any more`);
    const text = Buffer.from(bytes).toString();
    if (this.#blobs.size >= LIMITS.manifests) this.#blobs.clear();
    this.#blobs.set(digest, text);
    return text;
  }
}
