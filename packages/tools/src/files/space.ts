/**
 * What the file tools work on: a folder of this machine (`root.ts`), or what a session has mounted (`mounted/`). Each
 * keeps within itself whatever a model names; the tools know paths as the space shows them, and nothing else.
 */
import type { ToolContext } from '@perdure/runtime/ports';
import { ToolFailure } from '../failure.ts';

export type Kind = 'file' | 'directory';
/** `at`: how the space itself finds it again. */
export type Entry = { name: string; kind: Kind | 'link' | 'other'; at: string };

/** A file or folder that was opened and found to lie within; `shown` is its path, with `/`. */
export type Opened = AsyncDisposable & {
  readonly at: string;
  readonly shown: string;
  readonly kind: Kind;
  readonly bytes: number;
  /** All of a file, from its beginning; each piece is good until the next. */
  pieces(): AsyncIterable<Uint8Array>;
  /** What a folder holds, sorted by name, without what is hidden; `cut`: it holds more than was read. */
  entries(): Promise<{ entries: Entry[]; cut: boolean }>;
};

export interface FileSpace {
  /** Opens what a model named, as `wanted` where that is said. Throws ToolFailure. The caller disposes of it. */
  open(path: string, wanted?: Kind): Promise<Opened>;
  /** The same of a file that is to be changed afterwards. */
  openToChange(path: string): Promise<Opened>;
  /** Opens what a listing found. Throws ToolFailure or an error of the system. */
  openFound(at: string, kind: Kind): Promise<Opened>;
  /** Where a path leads, as it is shown, links followed; of what is not there, where it would be made. Null: nowhere here. */
  reach(path: string): Promise<string | null>;
  /** The path of what a listing found, as it is shown. */
  shown(at: string): string;
  /** Throws ToolFailure where nothing was changed. */
  change(wishes: readonly Wish[], asker: Asker): Promise<Changes>;
}

/** Of one call. Throws ToolFailure. */
export type SpaceOf = (context: Pick<ToolContext, 'workspaces' | 'reached'>) => FileSpace;

/** One file and what is to become of it. */
export type Wish = {
  path: string;
  /** What it was read with; undefined: it is not there yet. */
  digest: string | undefined;
  /** The content after, of the content before; null: no file. Throws ToolFailure. */
  change(before: Buffer | null): Buffer | null;
  /** Whether this content is what the change makes of the content with the digest (W2). */
  isDone(now: Buffer | null): boolean;
};

type State = { digest: string; bytes: number };
export type Change = {
  path: string;
  /** `kept`: it was as it should be already. */
  did: 'created' | 'changed' | 'deleted' | 'kept';
  before: State | null;
  after: State | null;
};
/** `failed`: what stopped it after some files had changed; null where all did. `unflushed`: the disk did not confirm them. */
export type Changes = { done: Change[]; failed: { path: string; failure: ToolFailure } | null; unflushed: boolean };

/** Who asks: names what is written beside its place, so that attempts do not meet. */
export type Asker = {
  key: string;
  attempt: number;
  signal: AbortSignal;
  /** Asked of each file's path before any is changed. Throws ToolFailure. */
  admit?: (shown: string) => void;
};

/** A name or path on one line, with what cannot be seen or turns the text around written out. */
export function showName(name: string): string {
  return name.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (unseen) => `\\u{${unseen.codePointAt(0)?.toString(16)}}`,
  );
}

/** As a message shows a path: bounded and on one line. */
export function quote(path: string): string {
  return `"${showName(path.length > 200 ? `${path.slice(0, 200)}…` : path)}"`;
}

export const notFound = (path: string): ToolFailure =>
  new ToolFailure('not_found', `There is no ${quote(path)}: see what there is with list_files or glob.`);

export function misnamed(path: string, wanted: Kind): ToolFailure {
  return wanted === 'file'
    ? new ToolFailure('not_a_file', `${quote(path)} is a folder: see what it holds with list_files.`)
    : new ToolFailure('not_a_directory', `${quote(path)} is a file: read it with read_file.`);
}
