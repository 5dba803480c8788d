/** What the outside knows of one session: receipts, and every entry that anybody was shown. */
import type { Entry } from '@perdure/contract';
import { canonicalJson } from '@perdure/runtime';
import type { Task } from './tasks.ts';

export type Run = `r${number}`;
export type Accepted = { task: Task; submission: string; run: Run; seq: number };
export type Resolved = { wait: string; seq: number };

export class SessionRecord {
  readonly name: string;
  /** Null until the server accepted it. */
  id: string | null = null;
  readonly accepted: Accepted[] = [];
  readonly resolved: Resolved[] = [];
  /** Waits for an outcome that was heard before the answer came. */
  readonly overtaken: string[] = [];
  /** Runs that were asked to end, whoever heard it. */
  readonly asked = new Set<string>();
  /** Runs whose cancel was accepted, with the process that accepted it. */
  readonly cancelled = new Map<string, number>();
  /** Messages that it gets in all. */
  readonly messages: number;
  /** Each entry as it stood on the wire, with its members in order; index 0 is seq 1. */
  readonly texts: string[] = [];
  readonly entries: Entry[] = [];
  readonly ended = new Map<string, Extract<Entry, { kind: 'run.ended' }>>();
  readonly #heard: (record: SessionRecord, entry: Entry) => void;

  constructor(name: string, messages: number, heard: (record: SessionRecord, entry: Entry) => void) {
    this.name = name;
    this.messages = messages;
    this.#heard = heard;
  }

  get isOver(): boolean {
    return this.accepted.length === this.messages && this.accepted.every(({ run }) => this.ended.has(run));
  }

  get head(): number {
    return this.texts.length;
  }

  /** Takes what a subscriber was shown at a seq; returns what is wrong with it. */
  show(seq: number, data: string): string | null {
    const entry = JSON.parse(data) as Entry;
    const text = canonicalJson(entry);
    const known = this.texts[seq - 1];
    if (known !== undefined)
      return known === text ? null : `entry ${seq} of ${this.id} was shown as ${known}, then as ${text}`;
    if (seq !== this.head + 1) return `entry ${seq} of ${this.id} was shown before entry ${this.head + 1}`;
    if (entry.seq !== seq) return `entry ${entry.seq} of ${this.id} has the id ${seq}`;
    this.texts.push(text);
    this.entries.push(entry);
    if (entry.kind === 'run.ended') this.ended.set(entry.run ?? '', entry);
    this.#heard(this, entry);
    return null;
  }
}

export const history = ({ id, entries }: SessionRecord): string =>
  [
    `session ${id}`,
    ...entries.map(({ seq, kind, run, effect, data }) =>
      `  ${seq} ${kind} ${effect ?? run ?? ''} ${JSON.stringify(data)}`.slice(0, 400),
    ),
  ].join('\n');
