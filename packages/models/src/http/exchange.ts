/**
 * One request and its streamed answer, as undici's own handler: no stream objects, no copies, the bytes go straight to
 * the parser. What the events mean is the business of the provider's own `AnswerReader`.
 *
 * 1. There is one outcome. After it nothing is told and nothing is read, except what lets the connection be used again.
 * 2. An answer counts only after the terminal event (the reader knows it); whatever ends before it is a failure.
 * 3. What a failure cost: nothing while the request was not written out whole; after that the provider may have worked
 *    for us, and only an HTTP error says that it did not.
 */
import { StringDecoder } from 'node:string_decoder';
import type { GenerateContext, GenerateOutcome, Spent } from '@perdure/runtime/ports';
import { createParser, type EventSourceParser } from 'eventsource-parser';
import type { Dispatcher } from 'undici';
import { BOUND, failed, NOTHING, type Failed, type FailureCode } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import { errorIn, type Refusals, type ResponseHeaders } from './refusals.ts';

/** `event` is the name the provider gave it; '' when it gave none. */
export type ServerEvent = { event: string; data: string };

/**
 * Puts one provider's answer together. Every event is foreign data: nothing in it may make the reader throw. After the
 * first outcome it is not asked again; a failure closes the connection, a whole answer lets it be used again.
 */
export interface AnswerReader {
  /** The outcome, when this event was the terminal one or says that there will be none; else null. */
  take(event: ServerEvent): GenerateOutcome | null;
  /** The stream ended properly: the outcome where that is how this provider ends an answer, else null (it was cut). */
  ended(): GenerateOutcome | null;
  /** The outcome of a success that is no event stream; without it such an answer is a failure. */
  whole?(body: string): GenerateOutcome;
}

type Controller = Dispatcher.DispatchController;
type Plain = { status: number; headers: ResponseHeaders; text: string };

export class Exchange implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<GenerateOutcome>;
  readonly #origin: string;
  readonly #reader: AnswerReader;
  readonly #refusals: Refusals;
  readonly #signal: AbortSignal;
  readonly #decoder = new StringDecoder('utf8');
  readonly #parser: EventSourceParser;
  readonly #resolve: (outcome: GenerateOutcome) => void;
  readonly #abort = (): void => this.#fail('aborted', 'the call was aborted', 'no');
  #controller: Controller | null = null;
  #sent = false;
  #settled = false;
  #bytes = 0;
  /** Headers have come: from here on an ended connection is a cut answer. */
  #begun = false;
  /** A response that is no event stream is collected, to be read as an error. */
  #plain: Plain | null = null;

  constructor(origin: string, reader: AnswerReader, refusals: Refusals, { signal }: Pick<GenerateContext, 'signal'>) {
    this.#origin = origin;
    this.#reader = reader;
    this.#refusals = refusals;
    this.#signal = signal;
    this.#parser = createParser({
      maxBufferSize: LIMITS.eventChars,
      onEvent: ({ event = '', data }) => this.#take({ event, data }),
      onError: (error) => {
        if (error.type !== 'max-buffer-size-exceeded') return;
        this.#fail('too_large', `an event of more than ${LIMITS.eventChars} characters`, 'no');
      },
    });
    const { promise, resolve } = Promise.withResolvers<GenerateOutcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error('settled before it was sent'));
  }

  onRequestSent(): void {
    this.#sent = true;
  }

  onResponseStart(_: Controller, status: number, headers: ResponseHeaders): void {
    if (status < 200) return;
    this.#begun = true;
    const type = headers['content-type'];
    const streams = type === undefined || String(type).includes('text/event-stream');
    if (status > 299 || !streams) this.#plain = { status, headers, text: '' };
  }

  onResponseData(_: Controller, bytes: Buffer): void {
    if (this.#settled) return;
    this.#bytes += bytes.length;
    const text = this.#decoder.write(bytes);
    if (this.#plain !== null) {
      this.#plain.text += text;
      this.#checkPlain(this.#plain);
    } else if (this.#bytes > LIMITS.responseBytes) {
      this.#tooLarge();
    } else {
      this.#parser.feed(text);
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    if (this.#plain !== null) {
      this.#settlePlain(this.#plain);
      return;
    }
    const outcome = this.#reader.ended();
    if (outcome === null) this.#fail('stream_cut', this.#cutText('the stream ended'), 'now');
    else this.#settle(outcome);
  }

  onResponseError(_: Controller, error: Error): void {
    if (this.#settled) return;
    if (this.#plain !== null && this.#plain.status > 299) {
      this.#settlePlain(this.#plain);
      return;
    }
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    const failure = codeOfTransport(code, this.#begun);
    const said = failure === 'stream_cut' ? this.#cutText('the connection ended') : `no answer from ${this.#origin}`;
    const again = failure === 'aborted' || failure === 'invalid_request' ? 'no' : 'now';
    this.#fail(failure, `${said} (${code}: ${error.message})`, again);
  }

  #take(event: ServerEvent): void {
    if (this.#settled) return;
    const outcome = this.#reader.take(event);
    if (outcome !== null) this.#settle(outcome);
  }

  #checkPlain(plain: Plain): void {
    const awaited = plain.status <= 299 && this.#reader.whole !== undefined;
    if (!awaited && this.#bytes > LIMITS.errorBytes) this.#settlePlain(plain);
    else if (this.#bytes > LIMITS.responseBytes) this.#tooLarge();
  }

  #tooLarge(): void {
    this.#fail('too_large', `a response of more than ${LIMITS.responseBytes} bytes`, 'no');
  }

  #settlePlain({ status, headers, text }: Plain): void {
    if (status > 299) {
      this.#settle(this.#refusals.ofStatus(status, headers, text));
      return;
    }
    if (this.#reader.whole !== undefined) {
      this.#settle(this.#reader.whole(text));
      return;
    }
    const error = errorIn(text);
    const wanted = `not an event stream but ${String(headers['content-type'])}: is ${this.#origin} the right URL?`;
    const named = error !== null && (error.message !== undefined || error.code !== undefined);
    this.#settle(named ? this.#refusals.ofEvent(error) : failed('malformed', wanted, 'no', BOUND));
  }

  #cutText(what: string): string {
    return `${what} after ${this.#bytes} bytes, before its terminal event`;
  }

  #fail(code: FailureCode, detail: string, retry: Failed['retry']): void {
    const spent: Spent = this.#sent ? BOUND : NOTHING;
    this.#settle(failed(code, detail, retry, spent));
  }

  /** After a whole answer the connection is left to deliver its last bytes, so that it can be used again. */
  #settle(outcome: GenerateOutcome): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#signal.removeEventListener('abort', this.#abort);
    this.#resolve(outcome);
    if (outcome.type === 'failed') this.#controller?.abort(new Error('the outcome is known'));
  }
}

function codeOfTransport(code: string, begun: boolean): FailureCode {
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timeout';
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return 'aborted';
  if (code === 'UND_ERR_INVALID_ARG') return 'invalid_request';
  if (!begun && (code.startsWith('HPE_') || code === 'HTTPParserError')) return 'malformed';
  return begun ? 'stream_cut' : 'connection';
}
