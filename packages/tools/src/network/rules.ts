/** Which URLs may be asked for, as an operator says it. */
import { isIP } from 'node:net';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { kindOfAddress } from './addresses.ts';
import { GuardFailure } from './failure.ts';
import type { HostRule } from './hosts.ts';
import { hostRules } from './hosts.ts';

/** What is granted beyond `https://` at port 443 of any public host. */
export type NetworkOptions = {
  /** Only these: `example.com`, `*.example.com` (what ends with it), each with `:PORT`. Missing: every public host. */
  hosts?: readonly string[];
  /** Never these, written in the same way; a rule without a port means every port. */
  deny?: readonly string[];
  /** `http://` and its port 80 too. */
  http?: boolean;
  /** Ports besides the usual ones. */
  ports?: readonly number[];
  /**
   * Servers that the operator vouches for, as `http://wiki.corp.example:8080`: of just these, scheme and port do not
   * matter, and they may be at private addresses, this machine's own included.
   */
  origins?: readonly string[];
  /**
   * `http://HOST:PORT`, with a user and a password where it wants them: a proxy that all connections to public hosts go through (CONNECT). It resolves
   * their names; one that leads to a private address here is refused here as well.
   */
  proxy?: string;
};

export type NetworkRules = {
  allowed: readonly HostRule[] | null;
  denied: readonly HostRule[];
  http: boolean;
  ports: ReadonlySet<number>;
  origins: ReadonlySet<string>;
  proxy: URL | null;
};

/** Throws ToolOptionsError `invalid_host`, `invalid_port`, `invalid_origin` or `invalid_proxy`. */
export function networkRules(options: NetworkOptions): NetworkRules {
  const { hosts, deny = [], http = false, ports = [], origins = [], proxy } = options;
  for (const port of ports)
    if (!Number.isInteger(port) || port < 1 || port > LIMITS.portMax)
      throw new ToolOptionsError('invalid_port', `${port} is no port`);
  if (origins.length > LIMITS.ruledHosts)
    throw new ToolOptionsError(
      'invalid_origin',
      `${origins.length} origins are too many: at most ${LIMITS.ruledHosts}`,
    );
  return {
    allowed: hosts === undefined ? null : hostRules(hosts),
    denied: hostRules(deny),
    http,
    ports: new Set(ports),
    origins: new Set(origins.map(originOf)),
    proxy: proxy === undefined ? null : proxyOf(proxy),
  };
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new ToolOptionsError('invalid_origin', `${JSON.stringify(text)} is no origin: write http://HOST:PORT`);
  return url.origin;
}

function proxyOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'http:' || url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new ToolOptionsError('invalid_proxy', 'a proxy is written http://HOST:PORT');
  return url;
}

/** A URL that may be asked for, as far as that can be said before its name is resolved. */
export type Target = {
  url: URL;
  secure: boolean;
  /** A name without a dot at its end, or an address without brackets. */
  host: string;
  literal: boolean;
  port: number;
  vouched: boolean;
};

const NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/;

/**
 * Judges a URL as `URL` has parsed it: numbers in any notation are addresses by then, names are lower case and ASCII.
 * Throws GuardFailure `invalid_url`, `forbidden_url`, `forbidden_host`, `forbidden_address`.
 */
export function judge(text: string | URL, rules: NetworkRules): Target {
  const url = typeof text === 'string' ? URL.parse(text) : text;
  if (url === null) throw new GuardFailure('invalid_url', 'this is no URL: write https://HOST/PATH');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new GuardFailure('forbidden_url', `${url.protocol} is not fetched: only https:`);
  if (url.username !== '' || url.password !== '')
    throw new GuardFailure('invalid_url', 'a URL with a user or a password is not fetched');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const literal = isIP(host) !== 0;
  if (!literal && !NAME.test(host)) throw new GuardFailure('invalid_url', 'the URL names no host');
  const secure = url.protocol === 'https:';
  const port = Number(url.port || (secure ? 443 : 80));
  const target: Target = { url, secure, host, literal, port, vouched: rules.origins.has(url.origin) };
  if (rules.denied.some((rule) => named(rule, host) && (rule.port === null || rule.port === port)))
    throw new GuardFailure('forbidden_host', `${host} is not to be reached: the option deny has it`);
  if (!target.vouched) judgeStranger(target, rules);
  if (literal && !(target.vouched ? ['public', 'private'] : ['public']).includes(kindOfAddress(host)))
    throw new GuardFailure('forbidden_address', `${host} is not a public address`);
  return target;
}

function judgeStranger({ host, literal, port, secure }: Target, { allowed, http, ports }: NetworkRules): void {
  if (!secure && !http)
    throw new GuardFailure('forbidden_url', 'http: is not fetched: use https:, or the operator sets http: true');
  const rule = allowed?.filter((each) => !literal && named(each, host)) ?? null;
  if (rule?.length === 0)
    throw new GuardFailure('forbidden_host', `${host} is not among the hosts that the option hosts has`);
  const usual = port === 443 || (http && port === 80) || ports.has(port);
  const fits = rule === null ? usual : rule.some((each) => (each.port === null ? usual : each.port === port));
  if (!fits) throw new GuardFailure('forbidden_url', `port ${port} is not granted: the operator can, with ports`);
}

const named = ({ name, suffix }: HostRule, host: string): boolean =>
  suffix ? host.endsWith(`.${name}`) : host === name;
