import { setTimeout as delay } from 'node:timers/promises';
import type { House } from './house.ts';
import { STREAMS } from './killable-nats.ts';
import { between, oneOf, shuffled, type Random } from './random.ts';

export const FAULTS = [
  'postgres killed',
  'nats killed',
  'relay killed',
  'consumer killed',
  'everything killed',
  'store rolled back',
  'store deleted',
  'stream deleted',
  'relay frozen',
  'consumer frozen',
] as const;
export type Fault = (typeof FAULTS)[number];

/** What ends no process by kill -9. */
const KILLS_NOTHING: readonly Fault[] = ['stream deleted', 'relay frozen', 'consumer frozen'];
/** How often each comes in a round after the first: a lost store costs the filling of it, which takes long once much is in it. */
const PER_ROUND: Readonly<Record<Fault, number>> = {
  'postgres killed': 4,
  'nats killed': 4,
  'relay killed': 4,
  'consumer killed': 4,
  'everything killed': 2,
  'store rolled back': 2,
  'store deleted': 1,
  'stream deleted': 1,
  'relay frozen': 2,
  'consumer frozen': 2,
};
const LEADER_SHARE = 0.75;
const BEFORE_ROLL_BACK_MS = 1_500;
const LOOK_AGAIN_MS = 200;

export function isKill(fault: Fault): boolean {
  return !KILLS_NOTHING.includes(fault);
}

/** Which faults, in their order: each kind once, then rounds of them by chance, until there are so many kills. */
export function planFaults(random: Random, kills: number): Fault[] {
  const round = FAULTS.flatMap((fault) => Array.from({ length: PER_ROUND[fault] }, () => fault));
  const plan = shuffled(random, FAULTS);
  let next: Fault[] = [];
  while (plan.filter(isKill).length < kills) {
    if (next.length === 0) next = shuffled(random, round);
    plan.push(next.shift() as Fault);
  }
  return plan;
}

/** Does it, and starts again what does not start by itself. */
export async function inject(fault: Fault, house: House, random: Random, freezeMaxMs: number): Promise<void> {
  const { nats, postgres, relays, replicas } = house;
  // The leader, mostly; where nobody leads at the moment, anybody.
  const relay = random() < LEADER_SHARE ? house.leader : relays.find((one) => one !== house.leader);
  const someRelay = relay ?? oneOf(random, relays);
  const replica = oneOf(random, replicas);
  // Longer than the 5 s after which PostgreSQL takes a frozen session's locks away.
  const freezeMs = between(random, 5_500, freezeMaxMs);
  switch (fault) {
    case 'postgres killed':
      await postgres.kill();
      return postgres.start();
    case 'nats killed':
      return natsDown(house, () => nats.copyStore());
    case 'relay killed':
      return someRelay.kill();
    case 'consumer killed':
      return replica.kill();
    case 'everything killed':
      await Promise.all([postgres.kill(), nats.kill(), ...relays.map((one) => one.kill()), ...replicas.map((one) => one.kill())]);
      await Promise.all([postgres.start(), nats.start()]);
      return;
    case 'store rolled back':
      if (!nats.hasCopy) {
        await natsDown(house, () => nats.copyStore());
        await delay(BEFORE_ROLL_BACK_MS);
      }
      return natsDown(house, () => nats.rollBack());
    case 'store deleted':
      return natsDown(house, () => nats.deleteStore());
    case 'stream deleted':
      return deleteStream(house, oneOf(random, STREAMS));
    case 'relay frozen':
      return someRelay.freeze(freezeMs);
    case 'consumer frozen':
      return replica.freeze(freezeMs);
  }
}

async function natsDown({ nats }: House, meanwhile: () => Promise<void>): Promise<void> {
  await nats.kill();
  await meanwhile();
  await nats.start();
}

/** A broker that has just come back may leave a first request unanswered. */
async function deleteStream({ nats }: House, stream: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await nats.manager.streams.delete(stream);
      return;
    } catch (error) {
      if (attempt > 20) throw error;
      await delay(LOOK_AGAIN_MS);
    }
  }
}
