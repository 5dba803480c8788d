/** Sessions under way with all who have to do with them: who sends and answers, and who follows. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Entry } from '@perdure/contract';
import { answer, cancel, send } from './people.ts';
import { history, SessionRecord } from './record.ts';
import type { FeedSeen, Followed } from './subscribers.ts';
import { followFeed, subscribe, SUBSCRIBERS } from './subscribers.ts';
import type { Task } from './tasks.ts';
import type { World } from './world.ts';

export type Played = {
  records: SessionRecord[];
  /** The newest that the feed said of each session. */
  feed: FeedSeen;
  followed: Followed[];
};

export class Play {
  readonly played: Played = { records: [], feed: new Map(), followed: [] };
  /** Called with each entry when it is first shown to anybody. */
  onEntry: (entry: Entry) => void = () => undefined;
  readonly #world: World;
  #followers = 0;
  /** What waits for people that are away; null: they are there. */
  #unanswered: (() => void)[] | null = null;

  constructor(world: World) {
    this.#world = world;
    world.background('the feed', followFeed(world, this.played.feed));
  }

  /** Opens a session with these messages, one after the other as each is accepted. */
  open(tasks: readonly Task[], options: { cancelAfterMs?: number } = {}): SessionRecord {
    const name = tasks[0]?.name ?? '';
    const record = new SessionRecord(name, tasks.length, (of, entry) => this.#heard(of, entry));
    this.played.records.push(record);
    this.#world.background(`session ${name}`, this.#people(record, tasks, options.cancelAfterMs));
    return record;
  }

  async #people(record: SessionRecord, tasks: readonly Task[], cancelAfterMs: number | undefined): Promise<void> {
    for (const [n, task] of tasks.entries()) {
      await send(this.#world, record, task);
      if (record.id === null) return;
      if (n === 0) for (const kind of SUBSCRIBERS) this.#follow(record, kind);
    }
    const run = record.accepted.at(-1)?.run;
    if (cancelAfterMs === undefined || run === undefined) return;
    await delay(cancelAfterMs);
    await cancel(this.#world, record, run);
  }

  #follow(record: SessionRecord, kind: (typeof SUBSCRIBERS)[number]): void {
    this.#followers += 1;
    const follow = async (): Promise<void> => {
      this.played.followed.push(await subscribe(this.#world, record, kind));
      this.#followers -= 1;
    };
    this.#world.background(`a subscriber of ${record.name}`, follow());
  }

  #heard(record: SessionRecord, entry: Entry): void {
    const world = this.#world;
    if (entry.kind === 'wait.opened') {
      const go = (): void => world.background(`wait ${entry.data.wait}`, answer(world, record, entry));
      if (this.#unanswered === null) go();
      else this.#unanswered.push(go);
    }
    this.onEntry(entry);
  }

  /** Nobody answers a wait until they are back. */
  peopleGo(): void {
    this.#unanswered ??= [];
  }

  peopleComeBack(): void {
    const unanswered = this.#unanswered ?? [];
    this.#unanswered = null;
    for (const go of unanswered) go();
  }

  unended(): SessionRecord[] {
    return this.played.records.filter((record) => !record.isOver);
  }

  /** Waits until every run has ended and every subscriber has seen it; what does not, violates P7. */
  async settle(withinMs: number): Promise<void> {
    const world = this.#world;
    const isOver = (): boolean => this.unended().length === 0 && this.#followers === 0;
    // Where something else was violated, nobody waited for the end.
    if ((await world.until(isOver, withinMs)) || world.violations.length > 0) return;
    for (const record of this.unended()) world.violate(`${record.name} never ended:\n${history(record)}`);
    if (this.#followers > 0) world.violate(`${this.#followers} subscribers never saw the end`);
  }
}
