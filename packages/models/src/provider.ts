import type { ModelAdapter } from '@perdure/runtime/ports';

/** A provider that is spoken to: its adapter, and the connections behind it. */
export type Provider = {
  adapter: ModelAdapter;
  /** Ends what is under way (`aborted`). */
  close(): Promise<void>;
};
