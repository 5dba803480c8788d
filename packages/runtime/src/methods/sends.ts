/** Messages on their way in: bodies, configuration, submissions. Everything is checked before anything is written. */
import type { ConfigPatch, MessageInput, MountInput } from '@perdure/contract';
import { ApiError, textOf } from '@perdure/contract';
import type { Actor, Config, Mount, OpenSession, Policies } from '@perdure/engine';
import type { Agents } from '../definitions/agents.ts';
import type { Route } from '../definitions/route.ts';
import { resolveRoute } from '../definitions/route.ts';
import type { Bodies } from '../effects/bodies.ts';
import { canonicalJson, sha256 } from '../log/digest.ts';
import type { ModelSource } from '../ports.ts';
import { misfitOfPolicies } from '../policy/rules.ts';
import type { StepInput } from '../log/step.ts';
import type { Parts } from '../parts.ts';
import type { Soon } from '../soon.ts';
import type { Workspaces } from '../workspaces/workspaces.ts';
import { admitMessage } from './media.ts';

export type Opening = { id: string; tenant: string; agent: string; key?: string; config?: ConfigPatch };
export type Message = {
  input: MessageInput;
  submission: string;
  mode: 'queue' | 'steer' | 'interrupt';
  priority: number;
  /** Of the run. */
  config: ConfigPatch | undefined;
  /** Where the message may open its session: the session, with its own configuration. */
  open: Opening | undefined;
};

/** The agent a caller names, or the first one that is defined. */
export function agentFor(agents: Agents, name: string | undefined): string {
  const registered = name === undefined ? agents.list()[0] : agents.get(name);
  if (registered !== undefined) return registered.definition.name;
  const known = agents.list().map(({ definition }) => definition.name);
  throw new ApiError('not_found', `no agent ${name ?? ''} is defined here; defined: ${known.join(', ') || 'none'}`);
}

/**
 * A configuration as the log keeps it: instructions are content, and a mount says where its workspace stands. A model or a
 * workspace that is not to be had is refused now.
 */
export async function configOf(
  patch: ConfigPatch | undefined,
  { models, workspaces }: Pick<Parts, 'models' | 'workspaces'>,
  bodies: Bodies,
): Promise<Config> {
  if (patch === undefined) return {};
  const { instructions, mounts, ...rest } = patch;
  if (patch.model !== undefined) checkRoute(models, patch.model);
  const config = rest as Config;
  checkPolicies(config.policies);
  if (mounts !== undefined) config.mounts = await Promise.all(mounts.map(async (mount) => mountOf(workspaces, mount)));
  if (instructions !== undefined) config.instructions = bodies.add(instructions);
  return config;
}

async function mountOf(workspaces: Workspaces, { tree, ...mount }: MountInput): Promise<Mount> {
  const { workspace } = mount;
  const head = await workspaces.head(workspace);
  if (head === null)
    throw new ApiError('not_found', `there is no workspace ${workspace} to mount: perdure workspace push makes one`);
  if (tree !== undefined && tree !== head.tree)
    throw new ApiError('revision_conflict', `workspace ${workspace} does not stand at tree ${tree}`, {
      details: { workspace, tree: head.tree },
    });
  return { ...mount, tree: head.tree };
}

/** Throws `invalid_request` with the path of a rule that cannot be obeyed. */
export function checkPolicies(policies: Policies | undefined): void {
  const misfit = policies === undefined ? null : misfitOfPolicies(policies);
  if (misfit !== null)
    throw new ApiError('invalid_request', misfit.message, { details: { path: `policies.${misfit.path}` } });
}

/** A route of which a model is not to be had is refused now, not when it is needed. */
export function checkRoute(models: ModelSource, route: Route): void {
  const resolved = resolveRoute(models, route);
  if (!resolved.ok) throw new ApiError('invalid_request', resolved.message, { details: { model: resolved.model } });
}

/** One input for one message; `payload` binds its submission to exactly this. Throws ApiError as `admitMessage` does. */
export async function sendInput(
  parts: Pick<Parts, 'models' | 'workspaces' | 'store' | 'newBodies'>,
  message: Message,
  by: Actor,
): Promise<StepInput> {
  const { input, submission, mode, priority, open } = message;
  const bodies = parts.newBodies();
  const admitting = admitMessage(input, bodies, parts.store.blobs);
  const { parts: said, media } = admitting instanceof Promise ? await admitting : admitting;
  const { agent = null, key = null, config: opened = null } = open ?? {};
  const config = message.config ?? null;
  const payload = sha256(canonicalJson({ input, mode, priority, config, agent, key, opened }));
  const ref = bodies.add({ parts: said });
  const text = textOf(said);
  const command: StepInput['command'] = { kind: 'send', submission, payload, mode, priority, message: ref };
  if (media !== null) command.media = media;
  if (message.config !== undefined) command.config = await configOf(message.config, parts, bodies);
  if (open !== undefined) {
    const opening = openingOf(open, parts, bodies);
    command.open = opening instanceof Promise ? await opening : opening;
  }
  return { id: submission, by, ...bodies.stored, command, title: text.replaceAll(/\s+/g, ' ').trim() };
}

export function openingOf(
  open: Opening,
  parts: Pick<Parts, 'models' | 'workspaces'>,
  bodies: Bodies,
): Soon<OpenSession> {
  const { config, ...rest } = open;
  if (config === undefined) return rest;
  return configOf(config, parts, bodies).then((kept) => ({ ...rest, config: kept }));
}
