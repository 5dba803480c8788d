/** Takes requests and shows streams of a store that processes share; the work is done by workers. */
import { version } from '../../version.ts';
import type { Run } from '../context.ts';
import { print } from '../output.ts';
import { live, whileStorageLasts } from '../serving.ts';
import { sharedLocal, startShared } from '../shared.ts';
import { untilStopped } from '../signals.ts';

export const gateway: Run = async (context) => {
  const stopped = untilStopped().then(() => ({}));
  const local = await sharedLocal(context);
  return whileStorageLasts(async () => {
    const runtime = await startShared(context, local, 'gateway', false);
    return live(runtime, stopped, {
      local,
      serves: true,
      ready: async (url) => {
        const lines = [
          `Perdure gateway ${version()} runs at ${url}`,
          `  store    ${local.place}`,
          `  internal ${runtime.address}`,
          'It takes requests and leaves the work to workers: perdure worker. Ctrl-C stops it.',
        ];
        print(`${lines.join('\n')}\n`);
        return null;
      },
    });
  });
};
