/** A host that was given no sandbox runs no commands. */
import type { Sandbox } from '../ports.ts';
import { SandboxError } from '../ports.ts';

const refuse = (): Promise<never> =>
  Promise.reject(new SandboxError('sandbox_unavailable', 'this host was given no sandbox, so it runs no commands'));

export const noSandbox: Sandbox = { kind: 'unavailable', probe: refuse, run: refuse, close: async () => {} };
