/** Failures that have a stable code, whichever package they come from. */
import { ApiError } from '@perdure/contract';
import { ListenError } from '@perdure/gateway';
import { ModelConfigError } from '@perdure/models';
import { ConfigError } from '@perdure/runtime';
import { StoreError } from '@perdure/stores/sqlite';
import { ToolOptionsError } from '@perdure/tools';
import { DataInUseError } from '../errors.ts';

const KNOWN = [ApiError, ConfigError, DataInUseError, ListenError, ModelConfigError, StoreError, ToolOptionsError];

/** The message with its code; null for what nobody expected. */
export function known(error: unknown): string | null {
  const found = KNOWN.find((type) => error instanceof type);
  return found === undefined ? null : `${(error as Error).message} (${(error as { code: string }).code})`;
}
