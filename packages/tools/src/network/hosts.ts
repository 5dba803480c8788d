/** Which hosts may be reached, as an operator writes them. */
import { isIP } from 'node:net';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';

export type HostRule = { name: string; suffix: boolean; port: number | null };

const RULE = /^(\*\.)?([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::([0-9]{1,5}))?$/;
const USUAL_PORTS: ReadonlySet<number> = new Set([80, 443]);

/** `example.com`, `*.example.com` (what ends with it, not itself), each with `:PORT`. Throws ToolOptionsError `invalid_host`. */
export function hostRules(hosts: readonly string[]): HostRule[] {
  if (hosts.length > LIMITS.ruledHosts)
    throw new ToolOptionsError('invalid_host', `${hosts.length} hosts are too many: at most ${LIMITS.ruledHosts}`);
  return hosts.map((host) => {
    const [, star, name = '', port] = RULE.exec(host.toLowerCase()) ?? [];
    if (name === '' || isIP(name) !== 0 || name.includes('..') || Number(port ?? 1) > LIMITS.portMax)
      throw new ToolOptionsError(
        'invalid_host',
        `${JSON.stringify(host)} is no host: write its name, such as api.example.com or *.example.com, and no address`,
      );
    return { name, suffix: star !== undefined, port: port === undefined ? null : Number(port) };
  });
}

export function allows(rules: readonly HostRule[], host: string, port: number): boolean {
  const asked = host.toLowerCase().replace(/\.$/, '');
  return rules.some(
    (rule) =>
      (rule.suffix ? asked.endsWith(`.${rule.name}`) : asked === rule.name) &&
      (rule.port === null ? USUAL_PORTS.has(port) : rule.port === port),
  );
}
