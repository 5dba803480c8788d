/** What a running host is made of. */
import type { Budgets } from './budgets/budgets.ts';
import type { Parked } from './budgets/parked.ts';
import type { Agents } from './definitions/agents.ts';
import type { Bodies } from './effects/bodies.ts';
import type { Driver } from './drive/driver.ts';
import type { Holding } from './drive/holding.ts';
import type { Trial } from './drive/trial.ts';
import type { Logger, ModelSource, Sandbox, System, TenantStore } from './ports.ts';
import type { Quarantine } from './drive/quarantine.ts';
import type { Jobs } from './jobs/jobs.ts';
import type { ProviderView } from '@perdure/contract';
import type { Redactor } from './secrets/redact.ts';
import type { Vault } from './secrets/vault.ts';
import type { Reads } from './methods/views.ts';
import type { Reading } from './log/prefix.ts';
import type { PolicyDocuments } from './policy/documents.ts';
import type { Sessions } from './log/sessions.ts';
import type { Step, StepInput, StepResult } from './log/step.ts';
import type { Search } from './texts/search.ts';
import type { Relay } from './streams/relay.ts';
import type { Streams } from './streams/stream.ts';
import type { Watches } from './streams/watch.ts';
import type { Workspaces } from './workspaces/workspaces.ts';

/** All parts of a running host, for methods and the library. */
export type Parts = {
  tenant: string;
  store: TenantStore;
  agents: Agents;
  models: ModelSource;
  /** Where tools run commands. */
  sandbox: Sandbox;
  /** What the tenant, agents and sessions may spend, and the runs that wait for it. */
  budgets: Budgets;
  parked: Parked;
  /** Commands of sessions that go on while they do. */
  jobs: Jobs;
  workspaces: Workspaces;
  /** Rules and grants that stand in documents. */
  policies: PolicyDocuments;
  sessions: Sessions;
  streams: Streams;
  /** What is said live in other processes; null: nobody is asked. */
  relay: Relay | null;
  /** What processes that share this data show each other. */
  liveToken: string;
  watches: Watches;
  reads: Reads;
  driver: Driver;
  system: System;
  logger: Logger;
  quarantine: Quarantine;
  holding: Holding;
  /** What must come before anything is driven: the session that the process before died in is tried alone. */
  trial: Trial;
  callbackSecret: string;
  redactor: Redactor;
  /** Secrets at rest. */
  vault: Vault;
  /** How this process comes to the keys of providers. */
  providers: () => readonly ProviderView[];
  search: Search;
  /** For the birth of a session: everything else comes by the driver. */
  step: Step;
  /** Folds prefixes of logs. */
  reading: Reading;
  /** Submits and unwraps: a refusal is thrown as ApiError. */
  submit(session: string, input: StepInput): Promise<Extract<StepResult, { ok: true }>>;
  /** Aborts when the host begins to stop: who waits for something is answered with how it stands. */
  stopping: AbortSignal;
  /** Collects the content of one input, without secrets. */
  newBodies(): Bodies;
  newId(): string;
  newSession(): string;
};
