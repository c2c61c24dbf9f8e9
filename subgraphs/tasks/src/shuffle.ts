import type { Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { once } from '@ates/service-kit/idempotency';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { newId } from '@ates/shared-events/new-id';
import { recordEvents } from '@ates/shared-events/outbox';
import { tasksShuffledV1 } from '@ates/shared-events/task-events';
import { assignOpenTasks, holdEmployees } from './assignments.ts';
import { stampNow, type TaskCommandOptions } from './task-commands.ts';

const SHUFFLE_LOCK = 7_061_013;
/** More than this that waits to be published and the next shuffle waits too. */
const UNPUBLISHED_MAX_EVENTS = 10_000;

/**
 * Gives every open task a random active employee, in one transaction. One at a time, and only once what the ones before it have to tell
 * is published but for a rest: however often it is pressed, work does not pile up.
 * @returns how many tasks
 * @throws DomainError CONFLICT while another one runs or is still being published, and for a reused key
 */
export async function shuffleTasks(options: TaskCommandOptions, actorId: string, idempotencyKey?: string | null): Promise<number> {
  return options.database.sqlTransaction((sql) =>
    once(sql, { scope: `assignTasks:${actorId}`, key: idempotencyKey, input: {} }, async () => {
      const stamp = await stampNow(options, sql);
      await takeTurn(sql);
      await holdEmployees(sql, 'AS_THEY_ARE');
      const shuffleId = newId();
      const traceparent = currentTraceparent();
      const { assigned, employees } = await assignOpenTasks(sql, 'EVERY_OPEN_TASK', { stamp, random: options.random, traceparent, shuffleId });
      if (assigned === 0) return 0;
      const { at, businessDay } = stamp;
      const data = { version: 1, shuffledBy: actorId, businessDay, assigned, employees, shuffledAt: at.toISOString() };
      await recordEvents(sql, [newEvent(tasksShuffledV1, shuffleId, data, { time: at, traceparent })]);
      return assigned;
    }),
  );
}

async function takeTurn(sql: Sql): Promise<void> {
  const [turn] = await sql<{ taken: boolean; unpublished: number }>(
    `select pg_try_advisory_xact_lock($1) as taken,
       (select count(*)::int from (select from outbox where stream_seq is null limit $2) as waiting) as unpublished`,
    [SHUFFLE_LOCK, UNPUBLISHED_MAX_EVENTS + 1],
  );
  if (turn?.taken !== true) throw new DomainError('CONFLICT', 'The tasks are being assigned right now: look at them in a moment, and press again if you still want to');
  if (turn.unpublished > UNPUBLISHED_MAX_EVENTS) {
    throw new DomainError('CONFLICT', 'What was assigned last is still being told to Accounting: press again in a few seconds');
  }
}
