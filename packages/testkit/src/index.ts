export { modelSuite } from './model-suite.ts';
export type { ModelSuiteOptions } from './model-suite.ts';
export { toolSuite } from './tool-suite.ts';
export type { ToolSuiteOptions } from './tool-suite.ts';
export { driverSuite, TWO_WORKERS } from './driver-suite.ts';
export type { DriverGround, DriverSuiteOptions, ProcessParts } from './driver-suite.ts';
export { World as DriverWorld } from './driver-suite/world.ts';
export { storeSuite } from './store-suite.ts';
export type { OpenedStore, StoreSuiteOptions } from './store-suite.ts';
export { append, appendAfter, bodyOf, EMPTY_HEAD, indexOf, runRow } from './store-suite/world.ts';
export type { AppendParts } from './store-suite/world.ts';
export { createChatEmulator } from './emulator/chat-emulator.ts';
export type {
  ChatEmulator,
  ChatEmulatorOptions,
  ChatFaults,
  ChatReply,
  ChatStep,
  SeenRequest,
} from './emulator/chat-emulator.ts';
export { CHAT_HOUSES } from './emulator/chat-houses.ts';
export type { ChatHouse } from './emulator/chat-houses.ts';
export type { ChatMessage, ChatRequest } from './emulator/chat-rules.ts';
export { chatCompletion, chatEvents } from './emulator/chat-wire.ts';
export type { ChatAnswer, ChatError, ChatUsage, StreamOptions } from './emulator/chat-wire.ts';
export { createFixedEmulator } from './emulator/fixed-emulator.ts';
export type { FixedEmulator } from './emulator/fixed-emulator.ts';
export { createResponsesEmulator } from './emulator/responses-emulator.ts';
export type {
  ResponsesEmulator,
  ResponsesEmulatorOptions,
  ResponsesFaults,
  ResponsesReply,
  ResponsesStep,
  SeenResponsesRequest,
} from './emulator/responses-emulator.ts';
export type { ResponsesRequest } from './emulator/responses-rules.ts';
export type { ResponsesAnswer, ResponsesItem, ResponsesUsage } from './emulator/responses-wire.ts';
export { createMessagesEmulator } from './emulator/messages-emulator.ts';
export type {
  MessagesEmulator,
  MessagesEmulatorOptions,
  MessagesFaults,
  MessagesReply,
  MessagesStep,
  SeenMessagesRequest,
} from './emulator/messages-emulator.ts';
export type { MessagesRequest } from './emulator/messages-rules.ts';
export type { MessagesAnswer, MessagesBlock, MessagesUsage } from './emulator/messages-wire.ts';
export type { WireEmulator, WireError, WireFailure, WireFaults } from './emulator/wire-server.ts';
export { createScriptedModel } from './scripted-model.ts';
export type {
  ScriptedAnswer,
  ScriptedCall,
  ScriptedFailure,
  ScriptedModel,
  ScriptedOptions,
  ScriptedReply,
  ScriptStep,
} from './scripted-model.ts';
export { Invariants } from './invariants.ts';
export { given, Spec, spec, steps } from './spec.ts';
export type { Pattern, Step, World } from './spec.ts';
export { createVirtualSystem } from './virtual-system.ts';
export type { VirtualOptions, VirtualSystem } from './virtual-system.ts';
export type { ModerationEmulator } from './emulator/moderation-emulator.ts';
export { createModerationEmulator } from './emulator/moderation-emulator.ts';
