/** The commands on rules and grants, as data. */
import type { Command } from './table.ts';

const policy = async () => import('./commands/policy.ts');
const json = { json: { value: null, about: 'Prints JSON: one document.' } } as const;
const settings = ['url', 'token', 'data', 'store'] as const;
const SCOPE = 'tenant, agent:NAME or session:ID';

export const POLICY_ROWS: { readonly [name: string]: Command } = {
  'policy list': {
    args: [],
    about: 'Lists the documents of rules and grants.',
    settings,
    flags: json,
    load: async () => (await policy()).list,
  },
  'policy show': {
    args: ['SCOPE'],
    about: `Shows the rules and grants of a scope: ${SCOPE}.`,
    settings,
    flags: json,
    load: async () => (await policy()).show,
  },
  'policy add': {
    args: ['SCOPE', 'DECISION', 'TOOL'],
    about: `Adds a rule to a scope (${SCOPE}): allow, ask or deny calls of a tool; * stands for any characters.`,
    settings,
    flags: {
      command: { value: 'COMMAND', many: true, about: 'The beginning of a shell command, such as "git status".' },
      path: { value: 'GLOB', many: true, about: 'Paths that its arguments name, such as "src/**".' },
      host: { value: 'GLOB', many: true, about: 'Hosts that its arguments name, such as "*.example.com".' },
      arg: { value: 'NAME=GLOB', many: true, about: 'An argument of this form; NAME~REGEX by an RE2 expression.' },
      tainted: { value: 'LABELS', about: 'After words of web, file, tool or input; any, or none.' },
      acts: { value: 'ACTS', about: 'What it does to the world: write, egress.' },
      'max-usd': { value: 'N', about: 'allow up to this cost of the run; ask or deny over it.' },
      for: { value: 'TIME', about: 'How long the rule counts, such as 12h or 7d.' },
      reason: {
        value: 'TEXT',
        about: 'Why: people read it with each call that the rule decides on, the model with a denial.',
      },
      ...json,
    },
    load: async () => (await policy()).add,
  },
  'policy remove': {
    args: ['SCOPE', 'RULE'],
    about: 'Takes a rule out of a scope, by its id.',
    settings,
    flags: json,
    load: async () => (await policy()).remove,
  },
  'policy test': {
    args: ['RULES'],
    about:
      'Holds the policies of a JSON file against what sessions have done: what they would have blocked, or asked for.',
    settings,
    flags: { since: { value: 'TIME', about: 'How far to look back, such as 7d (default).' }, ...json },
    load: async () => (await import('./commands/policy-test.ts')).test,
  },
  'policy grants list': {
    args: ['SCOPE?'],
    about: 'Lists what people have allowed for good, in one scope or in all.',
    settings,
    flags: json,
    load: async () => (await policy()).grants,
  },
  'policy grants revoke': {
    args: ['SCOPE.GRANT'],
    about: 'Revokes a grant: like calls are asked for again.',
    settings,
    flags: json,
    load: async () => (await policy()).revoke,
  },
};
