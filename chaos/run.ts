import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { audit, violations, type AuditReport, type Finding } from './audit.ts';
import { inject, isKill, planFaults, type Fault } from './faults.ts';
import { House } from './house.ts';
import { Load } from './load.ts';
import { randomFrom } from './random.ts';

export interface ChaosOptions {
  readonly events: number;
  /** At least so many faults that kill by kill -9. */
  readonly kills: number;
  /** Events per second that are written. */
  readonly rate: number;
  readonly seed: number;
  /** How long a process is halted at most, in ms. */
  readonly freezeMaxMs: number;
  /** How long everything may take to work again after a fault, and to have nothing under way at the end, in ms. */
  readonly backWithinMs: number;
  readonly drainWithinMs: number;
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A fault that was done, and how long until everything worked again, in ms. */
export interface DoneFault {
  readonly fault: Fault;
  readonly backAfterMs: number;
}

export interface ChaosReport extends AuditReport {
  readonly faults: readonly DoneFault[];
  readonly crashes: readonly string[];
  readonly load: Pick<Load, 'written' | 'unanswered' | 'counts'>;
  readonly violations: readonly Finding[];
  readonly loadMs: number;
  readonly drainMs: number;
}

export interface ChaosRun {
  readonly house: House;
  readonly report: ChaosReport;
}

const TELL_MS = 5_000;
const ROOM_MS = 2_000;
const POLL_MS = 500;
const DUE = `select count(*)::text as value from outbox where type in ('task.assigned', 'task.completed')`;
const UNPUBLISHED = `
  select (count(*) filter (where stream_seq is null) + (select greatest(coalesce(max(stream_seq), 0) - (select published from outbox_relay), 0) from outbox))::text as value
  from outbox where stream_seq is null`;

/**
 * Loads the pipe, hits it with one fault after another, lets it come to rest and looks at what is left. The processes of the pipe have ended
 * by then; PostgreSQL and the broker run on, until the house is closed.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosRun> {
  const house = await House.open();
  const load = new Load({ ...options, databaseUrl: house.tasksUrl });
  const state = { doing: 'starting', faults: [] as DoneFault[] };
  const room = setInterval(() => void house.nats.giveRoom().catch(() => undefined), ROOM_MS);
  const startedAt = performance.now();
  const telling = setInterval(() => options.tell(`${seconds(startedAt)} s  ${load.written} events, ${state.faults.length} faults; ${state.doing}`), TELL_MS);
  try {
    await house.nats.giveRoom();
    load.start();
    const stuck = await hit(options, house, load, state);
    load.quota = options.events;
    state.doing = 'writing the rest';
    if (stuck.length === 0) await aborting(load.finished(), options.signal);
    await load.stop();
    const loadMs = performance.now() - startedAt;
    state.doing = 'waiting until nothing is under way';
    const undrained = await drain(options, house);
    const drainMs = performance.now() - startedAt - loadMs;
    await house.quiet();
    state.doing = 'looking at what is left';
    const audited = await auditHouse(house, load.written);
    const facts = { faults: state.faults, crashes: house.crashes, load: { written: load.written, unanswered: load.unanswered, counts: load.counts }, loadMs, drainMs };
    return { house, report: { ...audited, ...facts, violations: [...stuck, ...undrained, ...violations(audited)] } };
  } catch (error) {
    options.tell(`while ${state.doing}: ${String(error)}`);
    await load.stop().catch(() => undefined);
    await house.close({ keep: !options.signal.aborted });
    throw options.signal.aborted ? error : new Error(`The run broke off while ${state.doing}; what is left of it is in ${house.folder}`, { cause: error });
  } finally {
    clearInterval(telling);
    clearInterval(room);
  }
}

/** Looks at what is left in these databases; a copy of Accounting's may stand for it. */
export function auditHouse(house: House, acknowledged: number, accounting = 'accounting'): Promise<AuditReport> {
  return audit({ postgresUrl: house.postgres.url, tasks: 'tasks', accounting, into: `audit_of_${accounting}`, nats: house.nats.connection }, acknowledged);
}

/**
 * Each fault at its share of the load, which goes on meanwhile, but not so far that later faults would find none.
 * @returns what did not work again in time, which ends it
 */
async function hit({ events, kills, seed, signal, freezeMaxMs, backWithinMs, tell }: ChaosOptions, house: House, load: Load, state: { doing: string; faults: DoneFault[] }): Promise<Finding[]> {
  const random = randomFrom(seed);
  const plan = planFaults(random, kills);
  const share = events / (plan.length + 1);
  for (const [place, fault] of plan.entries()) {
    load.quota = Math.round(share * (place + 2.5));
    state.doing = `writing until the next fault, ${fault}`;
    while (load.written < Math.min(share * (place + 1), events)) {
      signal.throwIfAborted();
      await Promise.race([delay(20), load.finished()]);
    }
    state.doing = `getting over a fault: ${fault}`;
    const hitAt = performance.now();
    await inject(fault, house, random, freezeMaxMs);
    const broken = await aborting(house.untilBack(backWithinMs, () => load.writtenDue), signal);
    if (broken.length > 0) return [{ name: `not back within ${backWithinMs} ms: ${fault}`, count: broken.length, examples: broken }];
    const backAfterMs = Math.round(performance.now() - hitAt);
    state.faults.push({ fault, backAfterMs });
    tell(`${isKill(fault) ? 'kill ' : 'fault'} ${place + 1}/${plan.length}: ${fault}, back after ${(backAfterMs / 1_000).toFixed(1)} s, at ${load.written} events`);
  }
  return [];
}

/** Waits until nothing is under way. @returns what still is when time is up */
async function drain({ drainWithinMs, signal }: ChaosOptions, house: House): Promise<Finding[]> {
  const deadline = Date.now() + drainWithinMs;
  const value = async (database: string, statement: string): Promise<number> => Number((await house.rows<{ value: string }>(database, statement))[0]?.value ?? 0);
  const due = await value('tasks', DUE);
  for (;;) {
    signal.throwIfAborted();
    const left = {
      'to be posted': due - (await house.posted()),
      'to be published by Tasks': await value('tasks', UNPUBLISHED),
      'to be published by Accounting': await value('accounting', UNPUBLISHED),
      'waiting for an earlier one': await value('accounting', 'select count(*)::text as value from inbox_waiting'),
      'missing at the end of TASKS': await missing(house, 'TASKS', await value('tasks', 'select max(stream_seq)::text as value from outbox')),
      'missing at the end of ACCOUNTING': await missing(house, 'ACCOUNTING', await value('accounting', 'select max(stream_seq)::text as value from outbox')),
      'not read again': await unread(house),
    };
    const open = Object.entries(left).filter(([, count]) => count !== 0);
    if (open.length === 0) return [];
    if (Date.now() > deadline) return open.map(([name, count]) => ({ name: `not at rest within ${drainWithinMs} ms: ${name}`, count, examples: [] }));
    await delay(POLL_MS);
  }
}

async function missing(house: House, stream: string, end: number): Promise<number> {
  const info = await house.nats.manager.streams.info(stream).catch(() => null);
  return end - (info?.state.last_seq ?? 0);
}

/** Partitions that stand before the last of their messages, as they do while a stream made anew is read once more. */
async function unread(house: House): Promise<number> {
  const [row] = await house.rows<{ value: string | null }>('accounting', `select max(position)::text as value from inbox_positions where stream = 'TASKS'`);
  const info = await house.nats.manager.streams.info('TASKS').catch(() => null);
  return info === null ? -1 : info.state.last_seq - Number(row?.value ?? 0);
}

async function aborting<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(0).padStart(4);
}
