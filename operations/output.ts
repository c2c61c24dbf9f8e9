import { styleText } from 'node:util';

const COLUMNS = 100;
const PROGRESS_EVERY_MS = 5_000;
const BYTES_PER_KIB = 1024;

/** What commands print: results to stdout, how far they got to stderr. */
export class Output {
  #progressAt = Date.now();
  #isProgressShown = false;

  /** What fits into a line. */
  readonly columns = process.stdout.isTTY ? Math.max(process.stdout.columns, 60) : COLUMNS;
  readonly isTerminal = process.stdout.isTTY;

  line(text = ''): void {
    this.endProgress();
    process.stdout.write(`${text}\n`);
  }

  /** A heading; bold on a terminal. */
  heading(text: string): void {
    this.line(styleText('bold', text));
  }

  /** A line about the work rather than of its result. */
  note(text: string): void {
    this.endProgress();
    process.stderr.write(`${text}\n`);
  }

  /** Replaces what it said before on a terminal; in a log it is a line now and then. */
  progress(text: string): void {
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001B[K${text}`);
      this.#isProgressShown = true;
    } else if (Date.now() - this.#progressAt >= PROGRESS_EVERY_MS) {
      process.stderr.write(`${text}\n`);
      this.#progressAt = Date.now();
    }
  }

  endProgress(): void {
    if (this.#isProgressShown) process.stderr.write('\r\u001B[K');
    this.#isProgressShown = false;
  }

  /** Makes room for a new picture; a log just gets an empty line. */
  clear(): void {
    process.stdout.write(this.isTerminal ? '\u001B[H\u001B[2J' : '\n');
  }
}

/** A column: its heading; numbers stand at the right. */
export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
}

/** The lines of a table, the heading first. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...rows.map((row) => (row[index] ?? '').length)));
  const lineOf = (cells: readonly string[]): string =>
    columns
      .map(({ isNumber }, index) => (isNumber ? (cells[index] ?? '').padStart(widths[index] ?? 0) : (cells[index] ?? '').padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd();
  return [lineOf(columns.map(({ title }) => title)), ...rows.map(lineOf)];
}

/** One line of at most so many characters. */
export function shortened(text: string, characters: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= characters ? line : `${line.slice(0, Math.max(characters - 1, 0))}…`;
}

/** For example `2026-11-20 13:04:47`, in UTC. */
export function moment(time: Date): string {
  return time.toISOString().slice(0, 19).replace('T', ' ');
}

/** For example `850 ms`, `12 s`, `3 min`, `5 h`, `9 d`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** For example `3.1 KiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count === 0 ? 0 : Math.min(Math.floor(Math.log(count) / Math.log(BYTES_PER_KIB)), units.length - 1);
  return `${(count / BYTES_PER_KIB ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** For example `1 event`, `2 events`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
