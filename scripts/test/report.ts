// Turns the runner's events into lines for people: one per file, each failure in full, and the counts as the last line.
import { relative } from 'node:path';
import type { EventData } from 'node:test';
import { inspect } from 'node:util';

const OUTPUT_MAX_CHARS = 65_536;

type Options = {
  readonly root: string;
  readonly all: boolean;
  readonly filtered?: boolean;
  /** Tests that need what is not everywhere: why one is skipped is told, and none need run. */
  readonly mayIdle?: boolean;
  readonly write: (text: string) => void;
};
type Event = { readonly type: string; readonly data?: unknown };
type Result = (EventData.TestPass | EventData.TestFail) & { readonly entryFile?: string };
type FileRecord = { passed: number; failed: number; skipped: number; output: string; readonly path: string };

export class Report {
  readonly #options: Options;
  readonly #files = new Map<string, FileRecord>();
  readonly #failures: string[] = [];
  #startedAt = performance.now();

  constructor(options: Options) {
    this.#options = options;
  }

  take(event: Event): void {
    switch (event.type) {
      case 'test:pass':
      case 'test:fail':
        return this.#result(event.type === 'test:pass', event.data as Result);
      case 'test:stdout':
      case 'test:stderr': {
        const { message, ...from } = event.data as EventData.TestStdout & { entryFile?: string };
        const file = this.#file(from.entryFile ?? from.file);
        file.output = (file.output + message).slice(-OUTPUT_MAX_CHARS);
        return;
      }
      case 'test:diagnostic': {
        const { message, nesting } = event.data as EventData.TestDiagnostic;
        // The outermost are the runner's own counts.
        if (this.#options.mayIdle === true && nesting > 0)
          this.#options.write(`    ${'  '.repeat(nesting)}${message}\n`);
        return;
      }
      case 'test:summary': {
        const summary = event.data as EventData.TestSummary & { entryFile?: string };
        const path = summary.entryFile ?? summary.file;
        if (path !== undefined) this.#printFile(this.#file(path), summary.duration_ms);
        return;
      }
      default:
        return;
    }
  }

  /** Prints the failures and the counts; the result is the exit code. */
  end(): number {
    const { write } = this.#options;
    const total = { passed: 0, failed: 0, skipped: 0 };
    for (const file of this.#files.values()) {
      total.passed += file.passed;
      total.failed += file.failed;
      total.skipped += file.skipped;
    }
    for (const file of this.#files.values()) {
      if (file.failed > 0 && file.output !== '') write(`\n── output of ${file.path}\n${file.output.trimEnd()}\n`);
    }
    this.#failures.forEach((text, index) => write(`\n── failure ${index + 1} of ${this.#failures.length}: ${text}\n`));
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    write(`\n${this.#files.size} files in ${seconds} s\n`);
    const isIdle = total.passed + total.failed === 0;
    if (isIdle) write('no test ran\n');
    write(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}\n`);
    const mayIdle = this.#options.mayIdle === true && total.skipped > 0;
    return total.failed > 0 || (isIdle && !mayIdle) ? 1 : 0;
  }

  #result(passed: boolean, result: Result): void {
    const file = this.#file(result.entryFile ?? result.file ?? result.name);
    if (isWholeFile(result)) return this.#wholeFile(passed, file, result);
    const skipped = isMarked(result.skip) || isMarked(result.todo);
    if (skipped) file.skipped += 1;
    else if (passed && result.details.type !== 'suite') file.passed += 1;
    else if (!passed && failureType(result) !== 'subtestsFailed') this.#fail(file, result);
    else return;
    if (this.#options.all || (skipped && this.#options.mayIdle === true)) {
      const why = typeof result.skip === 'string' && result.skip !== '' ? `: skipped, ${result.skip}` : '';
      const sign = skipped ? '-' : passed ? '✓' : '✗';
      this.#options.write(`  ${sign} ${'  '.repeat(result.nesting)}${result.name}${why}\n`);
    }
  }

  /** The runner reports a file itself only when it held no test or ended badly outside of its tests. */
  #wholeFile(passed: boolean, file: FileRecord, result: Result): void {
    if (!passed) {
      this.#fail(file, result);
    } else if (this.#options.filtered !== true) {
      file.failed += 1;
      this.#failures.push(`${file.path}\nthe file holds no test`);
    } else {
      return;
    }
    this.#printFile(file, result.details.duration_ms);
  }

  #fail(file: FileRecord, result: Result): void {
    file.failed += 1;
    const place = result.file === undefined ? file.path : this.#relative(result.file);
    const name = isWholeFile(result) ? 'the file ended with an error' : result.name;
    this.#failures.push(`${name}\n${place}${result.line === undefined ? '' : `:${result.line}`}\n${describe(result)}`);
  }

  #printFile(file: FileRecord, durationMs: number): void {
    const counts = [`${file.passed} passed`];
    if (file.failed > 0) counts.push(`${file.failed} failed`);
    if (file.skipped > 0) counts.push(`${file.skipped} skipped`);
    const sign = file.failed > 0 ? '✗' : '✓';
    this.#options.write(`${sign} ${file.path}  ${counts.join(', ')}  ${(durationMs / 1000).toFixed(2)} s\n`);
  }

  #file(path: string | undefined): FileRecord {
    const name = this.#relative(path ?? '(unknown file)');
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const created = { passed: 0, failed: 0, skipped: 0, output: '', path: name };
    this.#files.set(name, created);
    return created;
  }

  #relative(path: string): string {
    return path.startsWith(this.#options.root) ? relative(this.#options.root, path) : path;
  }
}

function isWholeFile(result: Result): boolean {
  return result.entryFile === undefined && result.nesting === 0 && result.name === result.file;
}

function isMarked(mark: boolean | string | undefined): boolean {
  return mark !== undefined && mark !== false;
}

function failureType(result: Result): string | undefined {
  const error: unknown = 'error' in result.details ? result.details.error : undefined;
  return error instanceof Error && 'failureType' in error ? String(error.failureType) : undefined;
}

function describe(result: Result): string {
  const error: unknown = 'error' in result.details ? result.details.error : undefined;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 8, breakLength: 120 });
}
