export { LIMITS } from './limits.ts';
export type { ErrorBody, ErrorCode, ErrorDetails } from './errors.ts';
export { ApiError, ERROR_STATUS, errorBodySchema } from './errors.ts';
export type { PolicyRuleInput } from './values.ts';
export type { AnswerKind, MountInput, SessionStatus } from './values.ts';
export {
  mountPathSchema,
  policyRuleSchema,
  loopGuardSchema,
  toolBreakerSchema,
  workspaceNameSchema,
} from './values.ts';
export type { MediaKind } from './media.ts';
export { attachmentOf, brokenMedia, MEDIA_TYPES, mediaKind, mediaTypeOf, nameOf, readText } from './media.ts';
export type { AnswerInput, ConfigPatch, InputPart, MessageInput, Part } from './params.ts';
export { answerSchema, configPatchSchema, inputSchema, partSchema } from './params.ts';
export type { Delta, Entry, FeedChange } from './stream.ts';
export { deltaSchema, entrySchema, feedChangeSchema } from './stream.ts';
export type {
  AgentView,
  ModelView,
  NodeView,
  ReceiptView,
  RunView,
  SessionView,
  TurnRequestView,
  Verification,
  WaitView,
} from './views.ts';
export {
  agentViewSchema,
  modelViewSchema,
  nodeViewSchema,
  runViewSchema,
  sessionViewSchema,
  turnRequestSchema,
  waitViewSchema,
} from './views.ts';
export type { BudgetView } from './budgets.ts';
export { budgetViewSchema, raiseCommand } from './budgets.ts';
export type { ProviderView, SecretView } from './methods/secrets.ts';
export { providerViewSchema, secretViewSchema } from './methods/secrets.ts';
export type { ContextSlot } from './context.ts';
export { contextSlotSchema } from './context.ts';
export type { Cause, Explanation, Found, Message, Span, Step } from './folded.ts';
export { explanationSchema, foundSchema, messageSchema, spanSchema } from './folded.ts';
export type { Passed } from './passed.ts';
export { becauseOf, passedOn, routeOf } from './passed.ts';
export type { Bodies, MessageBody, PromptBody, ResultBody, TurnBody } from './bodies.ts';
export { noBodies, readMessage, readPrompt, readResult, readTurn, textOf } from './bodies.ts';
export type { Method, MethodName, Params, ParamsInput, Result, Verb } from './methods.ts';
export { COMMON_ERRORS, METHODS, pathParams } from './methods.ts';
export { MISSING, misfitsOf } from './misfits.ts';
export type { Misfit } from './misfits.ts';
export type { Channel, ChannelName } from './channels.ts';
export { CHANNELS } from './channels.ts';
export type { Transcript } from './transcript.ts';
export { applyTranscript, emptyTranscript, viewTranscript } from './transcript.ts';
export type { Trace } from './trace.ts';
export { applyTrace, emptyTrace, viewTrace } from './trace.ts';
export type { DiffRow, DiffSide, DiffStep, SessionDiff } from './diff-view.ts';
export { sessionDiffSchema } from './diff-view.ts';
export { diffSessions } from './diff.ts';
export type { Progress } from './progress.ts';
export { applyProgress, emptyProgress } from './progress.ts';
export { explainRun } from './explain.ts';
export { taintedText } from './tainted.ts';
export { buildOpenApi } from './openapi.ts';
export { buildOpenRpc } from './openrpc.ts';
export type { Notification, NotificationName, RpcError, SubscriptionName } from './rpc.ts';
export { NOTIFICATIONS, RPC_BEARER, RPC_CODES, RPC_PROTOCOL, rpcCodeOf, SUBSCRIPTIONS } from './rpc.ts';
export type { CallOptions, Client, ClientOptions, FeedStreamEvent, SessionEvent } from './client.ts';
export { createClient } from './client.ts';
export type { RpcClient, RpcClientOptions } from './rpc-client.ts';
export { createRpcClient } from './rpc-client.ts';
export type { StreamTimers } from './reconnect.ts';
export type { Live, LiveCall, LiveTurn } from './live.ts';
export { applyDelta, applyToLive } from './live.ts';
export { faultOfPath, foldersOf, foldPath, isKeptApart } from './workspaces/paths.ts';
export type { WorkspaceView } from './workspaces/views.ts';
export { workspaceViewSchema } from './workspaces/views.ts';
export type { Tree, TreeChange, TreeFile, TreeLink, TreeNode } from './workspaces/tree.ts';
export {
  clashesIn,
  decodeTree,
  diffTrees,
  encodeTree,
  faultOfNode,
  isLink,
  mergeTrees,
  sameNode,
  sizeOfTree,
  TreeError,
} from './workspaces/tree.ts';
export type { GrantView, PolicyFinding, PolicyTest, PolicyView } from './policies.ts';
