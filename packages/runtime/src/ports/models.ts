/** What the runtime asks of a model. */
import type { CacheRule, CompactsBound, Digest, Price, Retry, Spent, Usage } from '@perdure/engine';

export type JsonSchema = { [key: string]: unknown };
/** A part of a message. A text with a name was a file; models read it as text. */
export type Part =
  | { type: 'text'; text: string; name?: string; mediaType?: string }
  | { type: 'image'; digest: Digest; mediaType: string; name?: string }
  | { type: 'file'; digest: Digest; mediaType: string; name: string };

/**
 * A part with its content: what is not text comes as base64 (RFC 4648 §4, with padding). Only what the model takes comes
 * so (`ModelInfo.modalities`); the rest is a text that says what was left out.
 */
export type LoadedPart =
  | { type: 'text'; text: string }
  | (Extract<Part, { type: 'image' }> & { base64: string })
  | (Extract<Part, { type: 'file' }> & { base64: string });

/**
 * The context as every provider understands it. `native` goes back verbatim to the model that made it; for another one it
 * is null.
 */
export type NeutralItem =
  | { kind: 'message'; parts: readonly LoadedPart[] }
  | { kind: 'turn'; model: string; text: string; calls: readonly AskedCall[]; native: unknown }
  | { kind: 'result'; providerId: string; name: string; outcome: string; content: string };
export type AskedCall = { id: string; name: string; arguments: string };

export type ToolDeclaration = { name: string; description: string; input: JsonSchema };
export type GenerateParams = {
  maxOutputTokens: number;
  temperature?: number;
  effort?: string;
  toolChoice?: 'auto' | 'none' | 'required' | { tool: string };
  /** The provider's processing tier, where it sells several. */
  tier?: 'default' | 'flex' | 'priority';
  /** The provider goes on with the answer when nobody listens, and can be asked for it again by its id. */
  background?: boolean;
};

/** All of one model call. `rendered` is the adapter's own text of the items, kept from turn to turn (see `render`). */
export type GenerateRequest = {
  model: string;
  instructions: string;
  tools: readonly ToolDeclaration[];
  rendered: string;
  params: GenerateParams;
  /** JSON Schema the final answer must fit, where the provider can be told. */
  output?: JsonSchema;
  /**
   * The provider's id of an answer that an earlier attempt began: ask for it again instead of paying twice. Fails with
   * code `response_gone` where the provider has it no longer: only a request without `resume` helps then.
   */
  resume?: string;
  /** The same for all requests of one session: a provider that routes by it finds the session's earlier prompts cached. */
  cacheKey?: string;
  key: string;
  attempt: number;
};

export type Delta =
  | { part: 'text' | 'reasoning'; text: string }
  | { part: 'arguments'; call: number; name: string; text: string };

export type GenerateOutcome =
  /** Only on the provider's own terminal event: a cut stream is `failed`, whatever had arrived. */
  | {
      type: 'done';
      stop: 'end' | 'calls' | 'length' | 'filtered';
      text: string;
      reasoning: string;
      calls: AskedCall[];
      usage: Usage;
      native: unknown;
    }
  | {
      type: 'failed';
      code: string;
      detail: string;
      retry: Retry;
      /** With `resumable`, what is billed if nobody asks for the answer again. */
      spent: Spent;
      /** The accepted answer goes on without us: the next attempt asks for it again (`resume`), and this one costs nothing. */
      resumable?: true;
    };

export type GenerateContext = {
  /**
   * Aborts the request; the outcome is then `failed` with code `aborted`. The caller owns it. The reason `cancelled`
   * says that nobody wants the answer any more; for any other (the process goes, this attempt took too long) an accepted
   * answer may be asked for again.
   */
  signal: AbortSignal;
  /** Called synchronously and in order; never after the outcome. Must not throw. */
  delta(delta: Delta): void;
  /**
   * The provider named an answer that it can be asked for again. Called at most once, before any delta; resolves when
   * that is in the log, so that a crash from then on re-attaches. Missing: nobody would remember it. A failure after it
   * says `bound`, of what the answer may cost: who asks for the same answer again gets the one bill of it.
   */
  accepted?(response: string): Promise<void>;
};

/** Levels of reasoning effort that providers have; a model takes some of them. */
export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';
export type ListPrice = Price & { source: string; date: string };
/** The most tokens one image or file counts; null: nobody says, and the window bounds it, where there is one. */
export type Modality = { maxTokens: number | null };

export type ModelInfo = {
  /** `provider/model`, as an agent names it. */
  id: string;
  provider: string;
  windowTokens: number | null;
  maxOutputTokens: number;
  /** Of standard processing. */
  price: ListPrice | null;
  /** In the catalog; a model that is not is accepted, unpriced, with a default maximum output. */
  known: boolean;
  /** What a message may hold besides text. Missing: text only. */
  modalities?: { image?: Modality; file?: Modality };
  /** The provider holds it to a JSON Schema. Missing: it does not. */
  structured?: boolean;
  /** Levels of effort it takes. Missing: nobody knows; empty: none. */
  effort?: readonly Effort[];
  /** It can be asked for an answer again (`GenerateParams.background`). Missing: it cannot. */
  background?: boolean;
  /** What is sold besides standard processing, each at its price. Missing: nothing. */
  tiers?: { flex?: ListPrice; priority?: ListPrice };
  /** Missing: nobody says that it caches prompts, or for how long. */
  cache?: CacheRule;
  /** Its provider compacts a conversation itself (`ModelAdapter.compact`): the most that writes. Missing: it does not. */
  compacts?: CompactsBound;
  /** A cheap model of the same provider and endpoint, which summarises for it where nobody is named. Missing: itself. */
  summarizer?: string;
};

export interface ModelAdapter {
  /** One item as this provider reads it, pure: JSON text of the elements it adds, comma-joined; '' adds nothing. */
  render(item: NeutralItem, model: string): string;
  /** Exactly the bytes that `generate` sends. */
  body(request: GenerateRequest): string;
  /** Never throws for an outcome; one request, no retries of its own. */
  generate(request: GenerateRequest, context: GenerateContext): Promise<GenerateOutcome>;
  /**
   * Has the provider itself put something shorter in the place of what `rendered` holds. Of the outcome, `native` goes
   * back to this model as a turn of its own that stands first, and `text` is what people and other models read instead:
   * '' where they cannot. Fails with code `unsupported` where the provider does not do it, or not with this. Never throws
   * for an outcome; one request, no retries of its own.
   */
  compact?(request: CompactRequest, context: Pick<GenerateContext, 'signal'>): Promise<GenerateOutcome>;
}

/** The request of a turn that ends where the conversation to be compacted does. */
export type CompactRequest = Omit<GenerateRequest, 'output' | 'resume'>;

export type ResolvedModel = { info: ModelInfo; adapter: ModelAdapter };
export interface ModelSource {
  /** `message` says what to do: which key is missing, which provider is unknown. */
  resolve(model: string): ({ ok: true } & ResolvedModel) | { ok: false; message: string };
  list(): ModelInfo[];
  close(): Promise<void>;
}

/** Says whether a text is one that a provider takes for harmful. */
export interface Moderator {
  /** The provider's names of what it flags; [] where it flags nothing. Throws where it could not be asked. */
  flagged(text: string): Promise<readonly string[]>;
  close(): Promise<void>;
}
