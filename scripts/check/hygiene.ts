// What must never be in a tracked file: secrets, hosts of package registries, paths of one machine, conflict markers.

type Pattern = { readonly what: string; readonly pattern: RegExp };

/** A made-up secret in a test or a document says so: it contains EXAMPLE. */
const SECRETS: readonly Pattern[] = [
  { what: 'a private key', pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/g },
  { what: 'an API key', pattern: /\bsk-[\w-]{20,}/g },
  { what: 'an AWS key', pattern: /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g },
  { what: 'a GitHub token', pattern: /\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,})/g },
  { what: 'a GitLab token', pattern: /\bglpat-[\w-]{20,}/g },
  { what: 'a Slack token', pattern: /\bxox[abprs]-[\w-]{10,}/g },
  { what: 'a Google key', pattern: /\bAIza[\w-]{35}/g },
  { what: 'an npm token', pattern: /\bnpm_\w{30,}|_authToken\s*=\s*[^\s$]/g },
  { what: 'a signed token', pattern: /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{15,}/g },
  {
    what: 'a password in a URL',
    pattern: /\b[a-z]+:\/\/[^\s/:@'"`$<>{}]+:(?!(?:postgres|password|secret|perdure)@)[^\s/:@'"`$<>{}]{3,}@/g,
  },
];

const PLACES: readonly Pattern[] = [
  {
    what: 'the host of a registry',
    pattern:
      /\b(?:registry|npm|pypi|packages?|artifactory|nexus|verdaccio)\.[a-z0-9-]+\.(?:[a-z0-9-]+\.)*[a-z]{2,}\b(?=[/:'"\s])|\b[\w-]+\.pkg\.dev\b|\/api\/npm\//gi,
  },
  {
    what: 'a path of one machine',
    pattern: /(?<![\w.}*-])\/(?:work|root|home\/[\w.-]+|Users\/[\w.-]+)\/[\w.-]|\b[A-Z]:\\Users\\/g,
  },
];

const LEFTOVERS: readonly Pattern[] = [
  { what: 'a merge that was not finished', pattern: /^(?:<{7}|>{7}|\|{7}) .+$/gm },
];

export function checkText(path: string, text: string): string[] {
  const secrets = find(path, text, SECRETS).filter(({ found }) => !/example/i.test(found));
  return [...secrets, ...find(path, text, [...PLACES, ...LEFTOVERS])].map(({ problem }) => problem);
}

function find(path: string, text: string, patterns: readonly Pattern[]): { problem: string; found: string }[] {
  return patterns.flatMap(({ what, pattern }) =>
    [...text.matchAll(pattern)].map((match) => {
      const line = text.slice(0, match.index).split('\n').length;
      return { problem: `${path}:${line} holds ${what}`, found: match[0] };
    }),
  );
}
