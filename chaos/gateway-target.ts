import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { problemsIn } from './gateway-answers.ts';

/** Waits until something has come back. */
export const ANSWERED = Symbol('answered');

/** What is sent over a connection, in turn: bytes, or a number of milliseconds to wait. */
export type Piece = Buffer | string | number | typeof ANSWERED;

/** One connection's worth of what nobody should send. */
export interface Attempt {
  /** For the tally. */
  readonly kind: string;
  readonly send: readonly Piece[];
  /**
   * answer: there has to be one, and the gateway closes; look: reads what comes for a moment;
   * half: the same, after this side has closed; abrupt: cut at once.
   */
  readonly end: 'answer' | 'look' | 'half' | 'abrupt';
  /** How long `look` and `half` last. */
  readonly lookMs?: number;
  /** Attempts of the same number come from one address. */
  readonly from?: number;
}

/** Whatever was not as it has to be. */
export interface Finding {
  readonly kind: string;
  readonly problem: string;
  readonly sent: string;
  readonly received: string;
}

export interface Target {
  /** Makes the attempt and looks at what comes back. @returns what came, byte by byte as latin1 */
  attempt(attempt: Attempt): Promise<string>;
  readonly findings: Finding[];
  /** Attempts by kind, and statuses and close codes by how often they came. */
  readonly kinds: Map<string, number>;
  readonly outcomes: Map<string, number>;
}

const ANSWER_WITHIN_MS = 20_000;
const ANSWERED_WITHIN_MS = 2_000;
const LOOK_MS = 40;
const SHOWN_LENGTH_MAX = 600;
const LOCAL_ADDRESSES = 200;

export function createTarget(port: number): Target {
  const findings: Finding[] = [];
  const kinds = new Map<string, number>();
  const outcomes = new Map<string, number>();
  let count = 0;
  return {
    findings,
    kinds,
    outcomes,
    attempt: async (attempt) => {
      count += 1;
      tally(kinds, attempt.kind);
      const received = await exchange(port, attempt, count);
      const { problems, seen } = problemsIn(received, attempt.end === 'answer');
      for (const outcome of seen) tally(outcomes, outcome);
      for (const problem of problems) findings.push({ kind: attempt.kind, problem, sent: shown(attempt.send.map(String).join('')), received: shown(received) });
      return received;
    },
  };
}

export function tally(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}… (${text.length})` : text);
}

async function exchange(port: number, { send, end, lookMs = LOOK_MS, from }: Attempt, count: number): Promise<string> {
  // Addresses of their own keep ports and the bounds of an address from running out; only Linux has them without further ado.
  const localAddress = process.platform === 'linux' ? `127.0.1.${1 + ((from ?? count) % LOCAL_ADDRESSES)}` : undefined;
  const socket = connect({ port, host: '127.0.0.1', ...(localAddress !== undefined && { localAddress }), noDelay: true, allowHalfOpen: true });
  const received: Buffer[] = [];
  let hear = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    received.push(chunk);
    hear();
  });
  // What is wrong with the connection shows in what came.
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()).once('end', () => resolve()));
  const heard = (): Promise<void> => (received.length > 0 ? Promise.resolve() : new Promise((resolve) => (hear = resolve)));
  for (const piece of send) {
    if (socket.destroyed) break;
    if (piece === ANSWERED) await Promise.race([heard(), closed, delay(ANSWERED_WITHIN_MS, undefined, { ref: false })]);
    else if (typeof piece === 'number') await delay(piece);
    else socket.write(piece);
  }
  await leave(socket, closed, { end, lookMs });
  return Buffer.concat(received).toString('latin1');
}

async function leave(socket: Socket, closed: Promise<void>, { end, lookMs }: Required<Pick<Attempt, 'end' | 'lookMs'>>): Promise<void> {
  if (end === 'half') socket.end();
  if (end !== 'abrupt') {
    const leftAlone = new AbortController();
    await Promise.race([closed, delay(end === 'answer' ? ANSWER_WITHIN_MS : lookMs, undefined, { signal: leftAlone.signal }).catch(() => {})]);
    leftAlone.abort();
  }
  // A reset leaves no port waiting, but is refused to a socket that is being closed, which would stay open then.
  if (end === 'half') socket.destroy();
  else socket.resetAndDestroy();
}
