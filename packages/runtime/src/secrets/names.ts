/**
 * What a caller names is found again by that name, so it cannot be blanked as content is: an input that names something
 * by a secret is refused, and nothing of it is written (P13).
 */
import type { Config, OpenSession } from '@perdure/engine';
import type { Step, StepInput } from '../log/step.ts';
import type { Redactor } from './redact.ts';

/** The step, for inputs whose names hold no secret; any other is rejected with `invalid_request`. */
export function withCleanNames(step: Step, redactor: Redactor): Step {
  return (session, input) => {
    const names = namesIn(input);
    if (names.length === 0 || redactor.value(names) === names) return step(session, input);
    const message = 'a name (a submission, a key, a member of a configuration) looks like a secret: choose another one';
    return Promise.resolve({ ok: false, rejection: { code: 'invalid_request', message } });
  };
}

/** All texts of an input that stand in an entry as they were given. Digests do not: one may look like anything. */
function namesIn({ id, command }: StepInput): readonly unknown[] {
  switch (command.kind) {
    case 'send':
      return [command.submission, namesInConfig(command.config), ...namesInOpening(command.open)];
    case 'open':
      return [id, ...namesInOpening(command)];
    case 'configure':
      return [namesInConfig(command.config)];
    case 'fork':
      return [id, namesInConfig(command.config)];
    case 'remember':
      return [command.key];
    case 'move':
      return [command.to ?? null];
    default:
      return [];
  }
}

const namesInOpening = (open: OpenSession | undefined): readonly unknown[] =>
  open === undefined ? [] : [open.key ?? null, namesInConfig(open.config)];

function namesInConfig(config: Config | undefined): unknown {
  if (config === undefined) return null;
  const { instructions: _, ...names } = config;
  return names;
}
