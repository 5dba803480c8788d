/** What the runtime asks of a tool. */
import type { Tree } from '@perdure/contract';
import type { Act, ArgumentNames, Digest, EffectClass, Taint } from '@perdure/engine';
import type { SessionJobs } from './jobs.ts';
import type { JsonSchema } from './models.ts';
import type { Sandbox } from './sandbox.ts';
import type { SaidHit } from './stores.ts';
import type { SessionWorkspaces } from './workspaces.ts';

export type ToolContent = string | { [key: string]: unknown } | readonly unknown[];
export type ToolResult = {
  /** For the model. */
  content: ToolContent;
  /** For people; never sent to the model. */
  details?: unknown;
  isError?: boolean;
};
/** Parks the call; the answer of the wait is its result. Made by `wait()`. */
export type ToolParks = {
  wait:
    | { kind: 'question'; question: string; choices?: readonly string[]; expiresInMs?: number }
    | { kind: 'timer'; afterMs: number }
    | { kind: 'callback'; note?: string; expiresInMs?: number };
};

/** `text`: words, all of which must be there, and "words in quotes" that must follow each other. */
export type HistoryQuery = { text: string; agent?: string; cursor?: string; limit: number };
/** Newest first. `behind`: the index is still being made, so newer texts may be missing. */
export type FoundPage = { hits: readonly (SaidHit & { title: string })[]; next: string | null; behind: boolean };
/** `taint`: whose words may stand behind what was said. */
export type HistoryPage = Omit<FoundPage, 'hits'> & {
  hits: readonly (FoundPage['hits'][number] & { taint: readonly Taint[] })[];
};

export type ToolContext = {
  /** The same for every attempt at this call, after any crash, and never the same for two calls. */
  key: string;
  attempt: number;
  signal: AbortSignal;
  session: string;
  /** Of the session. */
  agent: string;
  run: string;
  call: string;
  /** For whoever watches the process (its own log, level debug); never in the session's log. */
  progress(text: string): void;
  /** A URL path and token that resolve this call's callback wait; derived from the key. */
  callback(): { path: string; token: string };
  blobs: { put(bytes: Uint8Array): Promise<Digest>; get(digest: Digest): Promise<Uint8Array | null> };
  /**
   * The value of a secret; undefined where there is none of that name. One that is bound to hosts is given for the `url`
   * it will be sent to, one that is bound to commands for the script of bash (`command`) that gets it, if that runs nothing else. Throws an Error with code
   * `secret_refused` where it is bound elsewhere.
   */
  secret(name: string, to?: { url?: string; command?: string }): string | undefined;
  /**
   * Searches what was said in all sessions of the tenant, whoever had them. The call's result carries the labels of all
   * that it was shown. Throws an Error with code `invalid_request` for a query without words, or a cursor that is none.
   */
  history(query: HistoryQuery): Promise<HistoryPage>;
  /** Where commands run. Its errors are thrown: as a tool's own, they become an error result with their message. */
  sandbox: Sandbox;
  /** Commands that go on while the conversation does. */
  jobs: SessionJobs;
  /** What the session has mounted. */
  workspaces: SessionWorkspaces;
  /**
   * What `reaches` told before the call was ruled on: nothing else may be opened or changed now. Missing: no rule on paths
   * looked at it.
   */
  reached?: readonly Reached[];
  /** All of the result of an earlier call of this session, by the call's id; null where its conversation has none. */
  result(call: string): Promise<string | null>;
};

/** A text behind an agent's instructions, read anew when a run starts: a catalog, the instructions of a folder. */
export type Source = {
  /** Its heading. */
  key: string;
  /** Whether what it asks for counts. What strangers may have written is told as information, and taints (`file`). */
  trusted: boolean;
  /** What is there now; '' is left out. Quick, as somebody waits for the run; never throws. */
  read(): string;
  /**
   * What it says, under a heading of its own, of what a session has mounted. The context is tainted by it (`file`) in any
   * case. Throws only what `content` throws.
   */
  mounted?: { key: string; read(mounts: readonly MountedTree[]): Promise<string> } | undefined;
};

/** A workspace as it stands when a run starts. */
export type MountedTree = {
  path: string;
  tree: Tree;
  /** Null: it is lost. Rejects as the store does. */
  content: (digest: Digest) => Promise<Uint8Array | null>;
};

/** A path as rules read it: below the tool's root, with `/`; `tree`: with all that lies below it. */
export type Reached = { path: string; tree: boolean };

export type ToolDefinition = {
  name: string;
  description: string;
  input: JsonSchema;
  effect: EffectClass;
  approval: 'always' | 'never';
  /** It changes files of a workspace, and nothing else: the mode `accept-edits` lets it run unasked. */
  edits?: boolean;
  /** Whose words each of its results holds, besides its own; missing: nobody's. */
  taint?: Exclude<Taint, 'input'>;
  /** What a call may do to the world; missing: a `pure` tool nothing, any other both. */
  acts?: readonly Act[];
  /** What its arguments name; missing: nobody says, and rules look at each text in them. */
  names?: ArgumentNames;
  /** The model is not told of it until it has found it by `tool_search`. */
  defer?: boolean;
  /** What a model has to know of it beforehand, where that changes. */
  source?: Source;
  timeoutMs: number;
  /**
   * Where the paths that its arguments name lead, links followed; of one that is not there yet, where it would be made. Asked
   * before the call is ruled on, where a rule names paths: that looks at both. Only looks. A throw: nobody can tell.
   */
  reaches?(
    args: unknown,
    context: Pick<ToolContext, 'signal' | 'workspaces'>,
  ): Promise<readonly Reached[]> | readonly Reached[];
  /** `arguments` have passed the schema. A throw is a typed error result to the model. */
  run(args: unknown, context: ToolContext): Promise<ToolResult | ToolParks | ToolContent>;
  /** Did the call with this key happen? `unknown` asks a person. Only read, never act. */
  verify?(
    key: string,
    args: unknown,
    context: ToolContext,
  ): Promise<
    { outcome: 'done'; content: ToolContent } | { outcome: 'failed'; message: string } | { outcome: 'unknown' }
  >;
};
