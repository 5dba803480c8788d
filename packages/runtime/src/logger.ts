/** Structured logs: pino, one line an event, every value through the redactor. */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type { Logger } from './ports.ts';
import type { Redactor } from './secrets/redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFormat = 'json' | 'compact' | 'pretty';

/** `destination` takes the finished lines. Fields keep their names; `session`, `run` and `requestId` are on every line that has them. */
export function createLogger(options: { level: LogLevel; redactor: Redactor; destination: DestinationStream }): Logger {
  const { level, redactor, destination } = options;
  const clean: DestinationStream = { write: (line) => destination.write(redactor.text(line)) };
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, clean);
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

export const silentLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
