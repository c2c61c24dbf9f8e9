import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { newEvent } from '@ates/shared-events/event';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { randomFrom, shuffled, type Random } from '../chaos/random.ts';
import { startStack, until, type Stack } from '../e2e/stack.ts';
import { openDatabase, openNats, type ServiceDatabase } from '../operations/connections.ts';
import { findInstallation } from '../operations/installation.ts';
import { feeCause } from '../subgraphs/accounting/src/ledger.ts';
import { Crowd, watchCpu } from './ledger-crowd.ts';
import { logger } from './ledger-database.ts';
import { quantile, rounded, spread, verdict } from './ledger-figures.ts';
import { judge, type Account, type Change, type Sent } from './ledger-changes.ts';
import { Market, TRACEPARENT } from './tasks-market.ts';
import type { Place } from './tasks-place.ts';

export interface LiveOptions {
  readonly place: Place;
  readonly subscribers: number;
  /** Balance changes per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly say: (text: string) => void;
}

/** The gateway's limit. */
const PER_SOCKET = 50;
const TASKS = 1_000;
const WARM_UP_BATCH = 50;
const WARM_UP_PAUSE_MS = 100;
const WARM_UP_TRIES = 5;
const SUBSCRIBED_AFTER_MS = 3_000;
const READY_WITHIN_MS = 120_000;
const HEARD_WITHIN_MS = 10_000;
/** After the last change was seen: whatever comes twice comes by then. */
const QUIET_MS = 2_000;
const GOAL_MS = 50;
const LIVE_SUBJECT = 'live.accounting.entry_posted';

const wallClock = (): number => performance.timeOrigin + performance.now();

/** Everything that a measurement talks to. */
interface Scene {
  readonly stack: Stack;
  readonly market: Market;
  readonly accounting: ServiceDatabase;
  readonly crowd: Crowd;
  readonly changes: Changes;
  /** When Accounting told its replicas of entries, by id. */
  readonly announced: Map<string, number>;
}

/** Assignments of tasks that exist, in Tasks' outbox, each task's versions in order. */
class Changes {
  readonly #market: Market;
  readonly #taskIds: readonly string[];
  #count = 0;

  constructor(market: Market, taskIds: readonly string[]) {
    this.#market = market;
    this.#taskIds = taskIds;
  }

  /** One transaction. @returns what was sent, when that had begun */
  async send(accounts: readonly Account[]): Promise<Sent[]> {
    const drawn = accounts.map((account) => this.#draw(account));
    const sentAt = wallClock();
    await this.#market.tasks.sqlTransaction((sql) => recordEvents(sql, drawn.map(({ event }) => event)));
    return drawn.map(({ accountId, cause }) => ({ accountId, cause, sentAt }));
  }

  #draw({ id: accountId, ownerId: assigneeId }: Account): { event: AtesEvent; accountId: string; cause: string } {
    const taskId = this.#taskIds[this.#count % this.#taskIds.length] as string;
    const assignmentNumber = Math.floor(this.#count / this.#taskIds.length) + 2;
    this.#count += 1;
    const time = new Date();
    const at = time.toISOString();
    const data = { version: assignmentNumber + 1, assignmentNumber, assigneeId, previousAssigneeId: null, businessDay: at.slice(0, 10), assignedAt: at };
    return { event: newEvent(taskAssignedV1, taskId, data, { time, traceparent: TRACEPARENT }), accountId, cause: feeCause({ taskId, assignmentNumber }) };
  }
}

/** Balances that change while thousands watch. @returns whether each change reached the one who watches it, once */
export async function measureLive(options: LiveOptions): Promise<boolean> {
  const { place, subscribers, say } = options;
  const starting = startStack({ dataDir: join(place.folder, 'stack') });
  place.stopAtEnd(starting);
  const stack = await starting;
  const market = await Market.open(stack, logger);
  const crowd = new Crowd();
  const installation = findInstallation({ DATA_DIR: stack.dataDir });
  const [accounting, nats] = await Promise.all([openDatabase(installation, 'accounting'), openNats(installation)]);
  try {
    say(`the stack is ready after ${(stack.startMs / 1_000).toFixed(1)} s`);
    await market.hire(subscribers);
    const accounts = await until('everybody has an account', READY_WITHIN_MS, () => accountsOf(accounting, subscribers));
    await until('everybody is known to Tasks', READY_WITHIN_MS, async () => (await market.employees()) >= subscribers);
    await market.add(TASKS);
    await market.settled();
    await market.tidy();
    const tasks = await market.tasks.sql<{ id: string }>('select id from tasks where status = $1 order by number desc limit $2', ['OPEN', TASKS]);
    const announced = new Map<string, number>();
    nats.subscribe(LIVE_SUBJECT, {
      callback: (_error, message) => {
        const now = wallClock();
        for (const { id } of message.json<{ entries: { id: string }[] }>().entries) announced.set(id, now);
      },
    });
    return await measure({ stack, market, accounting, crowd, changes: new Changes(market, tasks.map(({ id }) => id)), announced }, accounts, options);
  } catch (error) {
    console.error(stack.logTail());
    throw error;
  } finally {
    await crowd.stop();
    await Promise.all([market.close(), accounting.close(), nats.close()]);
  }
}

async function accountsOf(accounting: ServiceDatabase, count: number): Promise<Account[] | undefined> {
  const accounts = await accounting.rows<Account>(`select id, owner_id as "ownerId" from accounts where kind = 'EMPLOYEE' order by id desc limit $1`, [count]);
  return accounts.length === count ? accounts : undefined;
}

async function measure(scene: Scene, accounts: readonly Account[], { subscribers, rate, seconds, seed, say }: LiveOptions): Promise<boolean> {
  const { stack, crowd, accounting } = scene;
  const token = await stack.signIn('accountant@ates.test');
  await crowd.ask({ do: 'watch', wsUrl: stack.wsUrl, token, accountIds: accounts.map(({ id }) => id), perSocket: PER_SOCKET });
  const warmUpMs = await warmUp(scene, accounts);
  say(`${subscribers} subscribers on ${Math.ceil(subscribers / PER_SOCKET)} sockets have each heard of a first change, after ${(warmUpMs / 1_000).toFixed(1)} s`);
  await crowd.ask({ do: 'forget' });
  const cpu = watchCpu({ ...stack.partPids(), 'what puts the load': process.pid });
  const sent = await load(scene, accounts, { rate, seconds, random: randomFrom(seed) });
  const used = cpu();
  await until('every change has been seen', HEARD_WITHIN_MS, async () => (await crowd.ask({ do: 'count' })).count >= sent.length).catch(() => undefined);
  await delay(QUIET_MS);
  const { arrivals, lateMs } = await crowd.ask({ do: 'tell' });
  const { changes, wrong } = await judge({ accounting, accounts, sent, arrivals, announced: scene.announced });
  report(changes, { subscribers, rate, sent: sent.length });
  console.log(`of one core: ${Object.entries(used).map(([name, share]) => `${name} ${(100 * share).toFixed(0)} %`).join(', ')}; the subscribers’ own process was late by ${rounded(lateMs)} ms at most`);
  for (const sentence of wrong) console.error(sentence);
  if (wrong.length === 0) console.log(`all ${sent.length} changes reached the one who watches the account, each once, with the balance that it left`);
  return wrong.length === 0;
}

/** Until every subscriber has heard of a change: then everything is subscribed to for certain. @returns ms */
async function warmUp({ crowd, changes }: Scene, accounts: readonly Account[]): Promise<number> {
  const begunAt = performance.now();
  let silent = accounts.map((_, place) => place);
  await delay(SUBSCRIBED_AFTER_MS);
  for (let tries = 0; tries < WARM_UP_TRIES && silent.length > 0; tries += 1) {
    for (let from = 0; from < silent.length; from += WARM_UP_BATCH) {
      await changes.send(silent.slice(from, from + WARM_UP_BATCH).map((place) => accounts[place] as Account));
      await delay(WARM_UP_PAUSE_MS);
    }
    await until('all have heard', HEARD_WITHIN_MS, async () => (silent = [...(await crowd.ask({ do: 'count' })).silent]).length === 0).catch(() => undefined);
  }
  if (silent.length > 0) throw new Error(`${silent.length} subscribers have not heard of any of ${WARM_UP_TRIES} changes`);
  await delay(QUIET_MS);
  return performance.now() - begunAt;
}

/** One change per transaction, evenly over time, of accounts by chance, each as often as the others. */
async function load({ changes }: Scene, accounts: readonly Account[], { rate, seconds, random }: { readonly rate: number; readonly seconds: number; readonly random: Random }): Promise<Sent[]> {
  const order = shuffled(random, accounts);
  const sending: Promise<Sent[]>[] = [];
  const startedAt = performance.now();
  for (let count = 0; count < rate * seconds; count += 1) {
    const early = startedAt + (count * 1_000) / rate - performance.now();
    if (early > 0) await delay(early);
    const sent = changes.send([order[count % order.length] as Account]);
    // It fails below, when all are waited for.
    sent.catch(() => undefined);
    sending.push(sent);
  }
  return (await Promise.all(sending)).flat();
}

function report(changes: readonly Change[], { subscribers, rate, sent }: { readonly subscribers: number; readonly rate: number; readonly sent: number }): void {
  const row = (what: string, times: readonly number[]) => ({ what, ...spread(times) });
  const seen = changes.map(({ postedAt, arrivedAt }) => arrivedAt - postedAt);
  const reached = quantile(seen, 0.99) <= GOAL_MS;
  console.log(`\n${sent} changes at ${rate}/s, ${subscribers} subscribers of one gateway; until the one subscriber of each has it, in ms; goal p99 ≤ ${GOAL_MS} since it is posted`);
  console.table([
    { ...row('since posted_at, just before it is posted', seen), goal: verdict(reached) },
    row('since Accounting told of it, just after', changes.map(({ announcedAt, arrivedAt }) => arrivedAt - announcedAt)),
    row('since the event was put into Tasks’ outbox', changes.map(({ sentAt, arrivedAt }) => arrivedAt - sentAt)),
  ]);
  console.table([
    row('outbox → posted_at: Tasks’ commit, relay, NATS, Accounting’s batch', changes.map(({ sentAt, postedAt }) => postedAt - sentAt)),
    row('posted_at → told: Accounting’s transaction', changes.map(({ postedAt, announcedAt }) => announcedAt - postedAt)),
    row('told → arrived: Accounting’s socket, gateway, client', changes.map(({ announcedAt, arrivedAt }) => arrivedAt - announcedAt)),
  ]);
}
