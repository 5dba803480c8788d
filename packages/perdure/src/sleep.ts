/** The tool `sleep`, ready for an agent: time is the system's. */
import { system } from '@perdure/runtime';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { sleep as sleepOn } from '@perdure/tools';

/** The tool `sleep`: waits, through restarts, for some seconds or until a time. */
export function sleep(): ToolDefinition {
  return sleepOn(system);
}
