/** The command's own time: to count seconds it need not load a runtime. */
import type { System } from '@perdure/runtime/ports';

export const time: Pick<System, 'timers'> & { monotonicMs(): number } = {
  monotonicMs: () => performance.now(),
  timers: {
    set(afterMs, run) {
      const timer = setTimeout(run, afterMs);
      return { cancel: () => clearTimeout(timer) };
    },
  },
};
