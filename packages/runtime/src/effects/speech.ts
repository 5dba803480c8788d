/** What a model says while it speaks, on its way to whoever listens. */
import type { Delta } from '../ports.ts';
import type { Redactor } from '../secrets/redact.ts';

export type Live = {
  push(delta: Delta): void;
  /** What was held back goes out; what comes after is dropped. */
  end(): void;
};

/** Each part is a stream of its own, and redacted as one. What comes together of one part goes out as one. */
export function createLive(redactor: Redactor, out: (delta: Delta) => void): Live {
  const streams = new Map<string, { last: Delta; stream: ReturnType<Redactor['stream']> }>();
  let open = true;
  let come: { key: string; delta: Delta; text: string } | null = null;
  const send = (delta: Delta, text: string): void => {
    if (text !== '') out({ ...delta, text });
  };
  const flush = (): void => {
    if (come === null) return;
    const { key, delta, text } = come;
    come = null;
    let entry = streams.get(key);
    if (entry === undefined) {
      entry = { last: delta, stream: redactor.stream() };
      streams.set(key, entry);
    }
    entry.last = delta;
    send(delta, entry.stream.push(text));
  };
  return {
    push(delta) {
      if (!open) return;
      const key = delta.part === 'arguments' ? `arguments ${delta.call}` : delta.part;
      if (come?.key === key) {
        come.delta = delta;
        come.text += delta.text;
        return;
      }
      flush();
      come = { key, delta, text: delta.text };
      queueMicrotask(flush);
    },
    end() {
      open = false;
      flush();
      for (const { last, stream } of streams.values()) send(last, stream.end());
    },
  };
}
