/** What people and models said, out of a session's frames: what search finds. */
import { readMessage, readTurn, textOf as textOfParts } from '@perdure/contract';
import type { BodyRef, Entry } from '@perdure/engine';
import { decodeFrame } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import type { BlobStore, Said, StoredFrame } from '../ports.ts';

/** The texts of a frame, in order; what is erased, or has no text, is left out. Throws UnknownEntry. */
export async function saidIn(frame: StoredFrame, blobs: Pick<BlobStore, 'get'>): Promise<Said[]> {
  const said: Said[] = [];
  for (const entry of decodeFrame(frame)) {
    const found = spokenOf(entry);
    if (found === null || entry.run === undefined) continue;
    const text = found.read(await contentOf(found.ref, frame, blobs)).slice(0, LIMITS.saidChars);
    if (text === '') continue;
    said.push({ seq: entry.seq, at: entry.at, run: entry.run, role: found.role, text });
  }
  return said;
}

type Spoken = { ref: BodyRef; role: Said['role']; read(body: unknown): string };

function spokenOf(entry: Entry): Spoken | null {
  switch (entry.kind) {
    case 'run.queued':
    case 'run.steered':
      return { ref: entry.data.message, role: 'user', read: messageText };
    case 'turn.settled':
      return entry.data.outcome === 'done' ? { ref: entry.data.body, role: 'assistant', read: turnText } : null;
    default:
      return null;
  }
}

const given = (body: unknown): { digest: string; bytes: number; body: unknown } => ({ digest: '', bytes: 0, body });
const none = (): undefined => undefined;
const messageText = (body: unknown): string => textOfParts(readMessage(given(body), none)?.parts ?? []);
const turnText = (body: unknown): string => readTurn(given(body), none)?.text ?? '';

/** Small bodies are in the frame, larger ones are blobs. */
async function contentOf(ref: BodyRef, frame: StoredFrame, blobs: Pick<BlobStore, 'get'>): Promise<unknown> {
  const inline = frame.bodies.find(({ digest }) => digest === ref.digest)?.text;
  const bytes = inline === undefined && !frame.erased ? await blobs.get(ref.digest) : null;
  const text = inline ?? (bytes === null ? undefined : Buffer.from(bytes).toString());
  return text === undefined ? undefined : (JSON.parse(text) as unknown);
}
