const MAX_NOTICES_PER_WINDOW = 6;
const NOTICE_WINDOW_MS = 30_000;
const MAX_NOTICE_CHARACTERS = 400;

/** What the stack says on the terminal. */
export class StackConsole {
  readonly #startedAt = performance.now();
  readonly #windows = new Map<string, { startedAt: number; notices: number }>();
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void = writeToTerminal) {
    this.#write = write;
  }

  /** Seconds since the start, with one digit: `12.3 s`. */
  elapsed(): string {
    return `${((performance.now() - this.#startedAt) / 1000).toFixed(1)} s`;
  }

  /** Plain text, as it is. */
  print(text: string): void {
    this.#write(`${text}\n`);
  }

  /** A step of the start, with the time since its beginning. */
  progress(text: string): void {
    this.#write(`${this.elapsed().padStart(8)}  ${text}\n`);
  }

  /** Something that happened to a part while the stack runs, with the time of day. */
  event(part: string, text: string): void {
    this.#write(`${new Date().toTimeString().slice(0, 8)}  ${part.padEnd(10)}  ${text}\n`);
  }

  /** A warning or error that a part logged; at most 6 in 30 s per part, the rest is in its log file. */
  notice(part: string, text: string): void {
    const now = performance.now();
    let window = this.#windows.get(part);
    if (window === undefined || now - window.startedAt > NOTICE_WINDOW_MS) {
      window = { startedAt: now, notices: 0 };
      this.#windows.set(part, window);
    }
    window.notices++;
    const shown = text.length > MAX_NOTICE_CHARACTERS ? `${text.slice(0, MAX_NOTICE_CHARACTERS)} …` : text;
    if (window.notices <= MAX_NOTICES_PER_WINDOW) this.event(part, shown);
    else if (window.notices === MAX_NOTICES_PER_WINDOW + 1) this.event(part, `… more in logs/${part}.log`);
  }
}

function writeToTerminal(text: string): void {
  process.stdout.write(text);
}

// A terminal that was closed must not take the stack down before it has stopped its parts.
process.stdout.on('error', () => undefined);
