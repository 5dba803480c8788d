/**
 * One request and its streamed answer, as undici's own handler: no stream objects, no copies, the bytes go straight to
 * the parser.
 *
 * 1. There is one outcome. After it nothing is told and nothing is read, except what lets the connection be used again.
 * 2. An answer counts only after the terminal event (see Answer); whatever ends before it is a failure.
 * 3. What a failure cost: nothing while the request was not written out whole; after that the provider may have worked
 *    for us, and only an HTTP error says that it did not.
 */
import { StringDecoder } from 'node:string_decoder';
import type { Clock, GenerateContext, GenerateOutcome, Spent } from '@perdure/runtime/ports';
import { createParser, type EventSourceParser } from 'eventsource-parser';
import type { Dispatcher } from 'undici';
import { BOUND, failed, NOTHING, type Failed, type FailureCode } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import { Answer, type UsageBound, type WireChunk } from './answer.ts';
import type { Endpoint } from './endpoint.ts';
import { errorIn, failureOfEvent, failureOfStatus, type ResponseHeaders } from './errors.ts';

type Controller = Dispatcher.DispatchController;

export class Exchange implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<GenerateOutcome>;
  readonly #endpoint: Endpoint;
  readonly #context: GenerateContext;
  readonly #clock: Clock;
  readonly #bound: UsageBound;
  readonly #answer: Answer;
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
  #plain: { status: number; headers: ResponseHeaders; text: string } | null = null;

  constructor(endpoint: Endpoint, key: string, bound: UsageBound, context: GenerateContext, clock: Clock) {
    this.#endpoint = endpoint;
    this.#context = context;
    this.#clock = clock;
    this.#bound = bound;
    this.#answer = new Answer(key, (delta) => context.delta(delta));
    this.#parser = createParser({
      maxBufferSize: LIMITS.eventChars,
      onEvent: (event) => this.#take(event.data),
      onError: (error) => {
        if (error.type !== 'max-buffer-size-exceeded') return;
        this.#fail('too_large', `an event of more than ${LIMITS.eventChars} characters`, 'no');
      },
    });
    const { promise, resolve } = Promise.withResolvers<GenerateOutcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    context.signal.addEventListener('abort', this.#abort, { once: true });
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
      if (this.#bytes > LIMITS.errorBytes) this.#settlePlain(this.#plain);
    } else if (this.#bytes > LIMITS.responseBytes) {
      this.#fail('too_large', `a response of more than ${LIMITS.responseBytes} bytes`, 'no');
    } else {
      this.#parser.feed(text);
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    if (this.#plain !== null) this.#settlePlain(this.#plain);
    else if (this.#endpoint.quirks.noDone === true && this.#answer.finish !== null) this.#finish();
    else this.#fail('stream_cut', this.#cutText('the stream ended'), 'now');
  }

  onResponseError(_: Controller, error: Error): void {
    if (this.#settled) return;
    if (this.#plain !== null && this.#plain.status > 299) {
      this.#settlePlain(this.#plain);
      return;
    }
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    const failure = codeOfTransport(code, this.#begun);
    const said =
      failure === 'stream_cut' ? this.#cutText('the connection ended') : `no answer from ${this.#endpoint.origin}`;
    const again = failure === 'aborted' || failure === 'invalid_request' ? 'no' : 'now';
    this.#fail(failure, `${said} (${code}: ${error.message})`, again);
  }

  #take(data: string): void {
    if (this.#settled) return;
    if (data === '[DONE]') {
      if (this.#answer.finish === null) this.#fail('stream_cut', '[DONE] came without a finish reason', 'now');
      else this.#finish();
      return;
    }
    const chunk = parse(data);
    if (chunk === null) this.#fail('malformed', `an event that is not a JSON object: ${data.slice(0, 80)}`, 'now');
    else if (chunk.error) this.#settle(failureOfEvent(chunk.error, this.#endpoint), true);
    else {
      const wrong = this.#answer.take(chunk);
      if (wrong !== null) this.#settle(wrong, true);
    }
  }

  /** The connection is left to deliver its last bytes, so that it can be used again. */
  #finish(): void {
    this.#settle(this.#answer.outcome(this.#bound), false);
  }

  #settlePlain({ status, headers, text }: { status: number; headers: ResponseHeaders; text: string }): void {
    if (status > 299) {
      this.#settle(failureOfStatus(status, headers, text, this.#endpoint, this.#clock), true);
      return;
    }
    const error = errorIn(text);
    const wanted = `not an event stream but ${String(headers['content-type'])}: is ${this.#endpoint.origin} the right URL?`;
    const named = error !== null && (error.message !== undefined || error.code !== undefined);
    this.#settle(named ? failureOfEvent(error, this.#endpoint) : failed('malformed', wanted, 'no', BOUND), true);
  }

  #cutText(what: string): string {
    return `${what} after ${this.#bytes} bytes, before its terminal event`;
  }

  #fail(code: FailureCode, detail: string, retry: Failed['retry']): void {
    const spent: Spent = this.#sent ? BOUND : NOTHING;
    this.#settle(failed(code, detail, retry, spent), true);
  }

  #settle(outcome: GenerateOutcome, close: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#context.signal.removeEventListener('abort', this.#abort);
    this.#resolve(outcome);
    if (close) this.#controller?.abort(new Error('the outcome is known'));
  }
}

function parse(data: string): WireChunk | null {
  try {
    const chunk: unknown = JSON.parse(data);
    return typeof chunk === 'object' && chunk !== null ? chunk : null;
  } catch {
    return null;
  }
}

function codeOfTransport(code: string, begun: boolean): FailureCode {
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timeout';
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return 'aborted';
  if (code === 'UND_ERR_INVALID_ARG') return 'invalid_request';
  if (!begun && (code.startsWith('HPE_') || code === 'HTTPParserError')) return 'malformed';
  return begun ? 'stream_cut' : 'connection';
}
