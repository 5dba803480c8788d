/**
 * What runs first in a sandbox and becomes the command: a script of bash, under the filter and within the walls already.
 * It sets the limits, lets go of every descriptor that is not the command's, and says that it has begun. Memory is
 * bounded last: the interpreter that forwards to the proxy reserves more than it uses.
 */
import type { SandboxLimits } from '@perdure/runtime/ports';
import { NODE_AT, PROXY_AT, PROXY_PORT } from './layout.ts';

/** The descriptor on which the script says that the command begins. */
export const BEGUN_FD = 3;

/** Connections to the proxy's address inside go to its socket: nothing else leads out. */
const FORWARDER = `const net = require('node:net');
net.createServer((from) => {
  const to = net.connect('${PROXY_AT}');
  from.pipe(to).pipe(from);
  from.on('error', () => to.destroy());
  to.on('error', () => from.destroy());
}).listen(${PROXY_PORT}, '127.0.0.1', () => console.log('ready'));`;

const SCRIPT = `set -e
ulimit -c 0 -n "$1" -u "$2" -f "$3" -t "$4"
echo 1000 > /proc/self/oom_score_adj
memory="$5"
shift 5
for fd in /proc/self/fd/*; do
  fd="\${fd##*/}"
  if (( fd > 2 && fd != ${BEGUN_FD} )); then exec {fd}>&-; fi
done
if [[ "$1" == proxy ]]; then
  exec 9< <(exec ${NODE_AT} -e "$2" ${BEGUN_FD}>&- 0</dev/null 2>/dev/null)
  read -r ready <&9 || { echo 'the way out of the sandbox did not open' >&2; exit 1; }
  exec 9<&-
fi
shift 2
ulimit -d "$memory"
printf begun >&${BEGUN_FD}
exec ${BEGUN_FD}>&-
exec "$@"`;

const KIB = 1_024;

/** The command with its limits, as arguments of bubblewrap's own command. */
export function entranceTo(command: readonly string[], limits: SandboxLimits, proxied: boolean): string[] {
  const { openFiles, processes, memoryBytes, fileBytes, cpuSeconds } = limits;
  const bounds = [openFiles, processes, Math.ceil(fileBytes / KIB), cpuSeconds, Math.ceil(memoryBytes / KIB)];
  const script = ['/bin/bash', '--norc', '--noprofile', '-c', SCRIPT, 'sandbox'];
  const exit = proxied ? ['proxy', FORWARDER] : ['alone', ''];
  return [...script, ...bounds.map(String), ...exit, ...command];
}
