import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DomainError } from '@ates/service-kit/domain-error';
import { endEarly, endElapsedDays } from '../src/business-day.ts';
import { shuffleTasks } from '../src/shuffle.ts';
import { completeTask, createTask } from '../src/task-commands.ts';
import { deleteTask } from '../src/task-edits.ts';
import { chance } from './market-actions.ts';
import { openMarketDatabase, type MarketDatabase } from './market-database.ts';

const DAY_ENDS = Number(process.env['DAY_ENDS'] ?? 1_000);
const TIMEOUT_MS = 60_000 + 100 * DAY_ENDS;
const DAY_MS = 86_400_000;
const FIRST_DAY = Date.parse('2026-11-20T00:00:00Z');
const WORKERS = 4;
/** How far a replica's clock is from the simulated one at most. */
const SKEW_MAX_MS = 3_000;
/** So many open tasks at most, so that a shuffle is no long work. */
const OPEN_TASKS_MAX = 8;
/** One day in so many ends early, at noon. */
const EARLY_EVERY_DAYS = 7;
/** After so many days what is in the outbox counts as published, as shuffles want it. */
const PUBLISHED_EVERY_DAYS = 100;
/** After so long PostgreSQL looks whether waiting sessions stop each other, and lets one of them jump the queue if that helps. */
const DEADLOCK_TIMEOUT_MS = 1_000;
const EMPLOYEES = [1, 2, 3].map((employee) => `01a1f8f1-0000-7000-8000-00000000000${employee}`);

interface OpenTask {
  readonly id: string;
  readonly assigneeId: string;
}

describe('the gate of a business day', () => {
  let market: MarketDatabase;
  let now = FIRST_DAY;
  let isOver = false;
  /** How often a worker waited until PostgreSQL put the queues in another order. */
  let stalls = 0;
  /** As far as the workers know: what is taken away from somebody meanwhile is known again after the next shuffle. */
  let open: OpenTask[] = [];
  const random = chance(20_261_121);
  const dateOf = (index: number): string => new Date(FIRST_DAY + index * DAY_MS).toISOString().slice(0, 10);
  const sql = <Row>(text: string) => market.database.sql<Row>(text);

  beforeAll(async () => {
    market = await openMarketDatabase();
    await market.employees(...EMPLOYEES);
  });
  afterAll(() => market?.close());

  /** Workers tell each time that they have done something; days go on when they have. */
  const progress = { made: 0, wanted: Number.POSITIVE_INFINITY, go: (): void => undefined };
  const made = (): void => {
    progress.made += 1;
    if (progress.made >= progress.wanted) progress.go();
  };
  const moreIsMade = (count: number): Promise<void> =>
    new Promise((go) => {
      progress.wanted = progress.made + count;
      progress.go = go;
    });

  const workOnce = async (): Promise<void> => {
    const skewMs = random(2 * SKEW_MAX_MS + 1) - SKEW_MAX_MS;
    const options = { database: market.database, timeZone: 'UTC', clock: () => new Date(now + skewMs), random };
    const [actor = ''] = EMPLOYEES;
    if (random(10) === 0) {
      await shuffleTasks(options, actor);
      open = await sql<OpenTask>(`select task_id as id, assignee_id as "assigneeId" from task_holders where status = 'OPEN'`);
      return;
    }
    const [task] = random(OPEN_TASKS_MAX) < open.length ? open.splice(random(open.length), 1) : [];
    if (task === undefined) open.push((await createTask(options, actor, { title: 'Feed the parrot', description: '' })) as OpenTask);
    else if (random(2) === 0) await deleteTask(options, actor, task.id);
    else await completeTask(options, task.assigneeId, task.id);
  };
  const work = async (): Promise<void> => {
    while (!isOver) {
      const began = performance.now();
      // Somebody else was quicker: that is no failure.
      await workOnce().catch((error: unknown) => {
        if (!(error instanceof DomainError)) throw error;
      });
      if (performance.now() - began >= DEADLOCK_TIMEOUT_MS) stalls += 1;
      made();
    }
  };

  /** Lets a day come to its end among those who work, and two robots end it at once. */
  const endDay = async (index: number): Promise<void> => {
    const day = dateOf(index);
    const isEarly = index % EARLY_EVERY_DAYS === EARLY_EVERY_DAYS - 1;
    const end = FIRST_DAY + index * DAY_MS + (isEarly ? DAY_MS / 2 : DAY_MS);
    now = end - 1_000;
    await moreIsMade(WORKERS / 2);
    now = end;
    if (isEarly) await market.database.sqlTransaction((own) => endEarly(own, day, 'UTC', new Date(now)));
    const enders = [now, now + SKEW_MAX_MS].map((moment) => endElapsedDays(market.database, 'UTC', () => new Date(moment)));
    expect((await Promise.all(enders)).flat()).toEqual([day]);
    if (index % PUBLISHED_EVERY_DAYS === 0) await sql('update outbox set stream_seq = seq where stream_seq is null');
  };

  test(`lets nothing of a day come after its marker, ${DAY_ENDS} times, while ${WORKERS} go on working and two robots end it`, async () => {
    const workers = Array.from({ length: WORKERS }, work);
    const days = (async () => {
      for (let index = 0; index < DAY_ENDS; index += 1) await endDay(index);
    })();
    try {
      await Promise.race([days, ...workers]);
    } finally {
      isOver = true;
      await Promise.allSettled(workers);
    }
    const [late, miscounted] = [await sql(LATE), await sql(MISCOUNTED)];
    const markers = await sql<{ day: string }>(`select data ->> 'businessDay' as day from outbox where type = 'tasks.day_ended' order by seq`);
    expect({ late: late.length, miscounted: miscounted.length, examples: [late[0], miscounted[0]] }).toEqual({ late: 0, miscounted: 0, examples: [undefined, undefined] });
    expect(markers.map(({ day }) => day)).toEqual(Array.from({ length: DAY_ENDS }, (_, index) => dateOf(index)));
    // If somebody waited at the gate with a row in hand, all would stall at one end in ten; a busy machine stalls hardly anybody so long.
    expect(stalls).toBeLessThanOrEqual(DAY_ENDS / 50);
  }, TIMEOUT_MS);
});

/** Events stamped with a day whose marker is before them. */
const LATE = `
  select event.type, event.seq, event.data ->> 'businessDay' as day from outbox as event
  join outbox as marker on marker.type = 'tasks.day_ended' and marker.data ->> 'businessDay' = event.data ->> 'businessDay'
  where event.type <> marker.type and event.seq > marker.seq order by event.seq`;

/** Days whose marker counts otherwise than the events. */
const MISCOUNTED = `
  with counted as (
    select data ->> 'businessDay' as day, count(*) filter (where type = 'task.assigned') as assignments,
      count(*) filter (where type = 'task.completed') as completions, count(*) filter (where type = 'task.deleted') as deletions
    from outbox group by 1
  )
  select marker.data as marker, counted.* from outbox as marker join counted on counted.day = marker.data ->> 'businessDay'
  where marker.type = 'tasks.day_ended' and (counted.assignments, counted.completions, counted.deletions)
    <> ((marker.data ->> 'assignments')::int, (marker.data ->> 'completions')::int, (marker.data ->> 'deletions')::int) order by 2`;
