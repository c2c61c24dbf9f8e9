import { setTimeout as delay } from 'node:timers/promises';
import { askOddly, breakHttp, sendGarbage } from './gateway-http.ts';
import type { GatewayProgram } from './gateway-program.ts';
import { breakSocket, flood, misspeak } from './gateway-sockets.ts';
import { abuseChannel, streamOddly } from './gateway-streams.ts';
import type { Target } from './gateway-target.ts';
import { randomFrom, type Random } from './random.ts';

type Attack = (target: Target, random: Random) => Promise<void>;

/** Each with how often it is made, of a hundred. */
const ATTACKS: readonly (readonly [share: number, attack: Attack])[] = [
  [44, askOddly],
  [20, breakHttp],
  [3, sendGarbage],
  [10, breakSocket],
  [12, misspeak],
  [2, flood],
  [5, streamOddly],
  [4, abuseChannel],
];
const SEED_STEP = 0x9e_37_79_b1;

export interface Attacking {
  readonly target: Target;
  readonly seed: number;
  /** Attacks by their numbers: from this one up to, but not, that. */
  readonly from: number;
  readonly to: number;
  /** At the same time. */
  readonly width: number;
  readonly signal?: AbortSignal;
  /** Called after each one. */
  readonly done?: (number: number) => void;
}

/** Makes attacks; each depends on the seed and its number alone, so that one can be made again by itself. @throws the reason of `signal` */
export async function attack({ target, seed, from, to, width, signal, done }: Attacking): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) {
      signal?.throwIfAborted();
      const number = next;
      next += 1;
      await attackOf(number, seed)(target);
      done?.(number);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

function attackOf(number: number, seed: number): (target: Target) => Promise<void> {
  const random = randomFrom(Math.imul(number + 1, SEED_STEP) ^ seed);
  // The first numbers of neighbouring seeds resemble one another.
  random();
  let share = random() * ATTACKS.reduce((sum, [part]) => sum + part, 0);
  const chosen = ATTACKS.find(([part]) => (share -= part) < 0) ?? ATTACKS[0];
  return (target) => (chosen as (typeof ATTACKS)[number])[1](target, random);
}

/** What the log may not hold: stacks, and anything worse than a warning, since nothing here fails for a reason of the gateway's own. */
const STACK = /\\n {4}at |^ {4}at /;
const BAD_LEVEL = /"level":"(?:error|fatal)"/;
const SHOWN_MAX = 1_500;

/** Takes the lines that the gateway has logged. @returns those that should not be there */
export function badLines({ lines }: GatewayProgram): string[] {
  return lines
    .splice(0)
    .filter((line) => !line.startsWith('{') || STACK.test(line) || BAD_LEVEL.test(line) || /unhandled/i.test(line))
    .map((line) => line.slice(0, SHOWN_MAX));
}

const GAUGES = ['gateway_sockets', 'gateway_subscriptions'];
/** A stream that was reserved and never opened is kept for up to 42 s. */
const GONE_WITHIN_MS = 60_000;

/** What of it is still there when nobody is: named gauges with their values, after a while to let go. */
export async function leftBehind(program: GatewayProgram): Promise<string[]> {
  for (const until = Date.now() + GONE_WITHIN_MS; ; await delay(250)) {
    const values = await Promise.all(GAUGES.map(async (name) => ({ name, value: await program.metric(name) })));
    const left = values.filter(({ value }) => value !== 0);
    if (left.length === 0 || Date.now() > until) return left.map(({ name, value }) => `${name} is ${value}`);
  }
}
