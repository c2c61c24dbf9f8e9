import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';

const MAX_FILE_BYTES = 10 * 1024 ** 2;
const LINES_KEPT = 30;
const MAX_LINE_CHARACTERS = 64 * 1024;

/** The log file of a part. It is bounded: past 10 MB it becomes `<file>.1` (the one before is gone) and a new one begins. */
export class PartLog {
  readonly #file: string;
  readonly #lastLines: string[] = [];
  #bytes: number;

  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    this.#file = file;
    this.#bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** The last lines that the part wrote, oldest first; at most 30. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  append(line: string): void {
    this.#lastLines.push(line);
    if (this.#lastLines.length > LINES_KEPT) this.#lastLines.shift();
    if (this.#bytes > MAX_FILE_BYTES) {
      renameSync(this.#file, `${this.#file}.1`);
      this.#bytes = 0;
    }
    const text = `${line}\n`;
    // A full disk must not end the supervisor; the part that fills it complains itself.
    try {
      appendFileSync(this.#file, text);
      this.#bytes += Buffer.byteLength(text);
    } catch {
      this.#bytes = 0;
    }
  }
}

/** Calls back for each line of a process' output; what follows 64 Ki characters without a line break counts as a new line. */
export function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length > MAX_LINE_CHARACTERS) {
      onLine(rest);
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
