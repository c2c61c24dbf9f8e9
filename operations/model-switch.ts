import { setTimeout as delay } from 'node:timers/promises';
import type { Rebuilding } from '../subgraphs/analytics/src/rebuild-model.ts';
import type { ServiceDatabase } from './connections.ts';
import { OperationError } from './errors.ts';

/** How it went: done, with how long nothing was applied to either model; or not yet, with why. */
export type Switch = { readonly heldMs: number } | { readonly notYet: string };

/** While the running service waits for this, which dashboards don't notice. The role's idle transactions are ended after 10 s. */
const HOLD_MAX_MS = 5_000;
const LOCK_TIMEOUT_MS = 5_000;
const POLL_MS = 20;
const RETRY_MS = 200;
/** A deadlock, a lock that did not come in time: somebody was in the middle of something. */
const BUSY = ['40P01', '55P03'];
const NOT_AS_IT_SHOULD_BE = '55000';

/** Nothing that has come is still to be applied to the new model, and it is not behind the one in use. */
const LEVEL = `
  select not exists (
    select from public.inbox_positions as here left join rebuild_model.inbox_positions as there using (stream, partition)
    where here.position > 0 and (there.position is null or (there.stream_created = here.stream_created and there.position < here.position))
  ) and not exists (
    select from rebuild_model.inbox_waiting as waiting join rebuild_model.inbox_versions as known using (source, aggregate_id) where waiting.version = known.version + 1
  ) and not exists (
    select from rebuild_model.parked_events where command is not null and outcome is null
  ) as level`;

/** Whether the new model could take the place of the one in use. */
export async function isLevel(database: ServiceDatabase): Promise<boolean> {
  const [row] = await database.rows<{ level: boolean }>(LEVEL);
  return row?.level === true;
}

/**
 * Puts the new model in the place of the one in use. That stands still meanwhile: whoever applies events to it waits for its positions. So the new
 * one reaches it, and nobody sees time go back. Readers wait for the change of the tables at the end only.
 * @throws OperationError when it can't be done, however often it is tried
 */
export async function switchOver(database: ServiceDatabase, rebuilding: Rebuilding): Promise<Switch> {
  let isStopped = false;
  const notYet = async (why: string): Promise<Switch> => {
    await database.rows('rollback');
    if (isStopped) rebuilding.start();
    return { notYet: why };
  };
  await database.rows('begin');
  try {
    await database.rows(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await database.rows('lock table public.inbox_positions in exclusive mode');
    const heldAt = performance.now();
    const isOver = (): boolean => performance.now() - heldAt > HOLD_MAX_MS;
    while (!(await isLevel(database))) {
      if (isOver()) return await notYet('the new model did not reach the one in use');
      await delay(POLL_MS);
    }
    isStopped = true;
    await rebuilding.stop();
    // It may have been stopped in the middle of something.
    if (!(await isLevel(database))) return await notYet('an event was being applied');
    while (!(await changeTables(database))) {
      if (isOver()) return await notYet('the tables are being read all the time');
      await delay(RETRY_MS);
    }
    await database.rows('commit');
    return { heldMs: performance.now() - heldAt };
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string };
    if (BUSY.includes(code)) return notYet(message);
    await database.rows('rollback').catch(() => []);
    if (code === NOT_AS_IT_SHOULD_BE) throw new OperationError(`The new model of ${database.service} is not used: ${message}. The one in use is as it was; run this again.`, { cause: error });
    throw error;
  }
}

async function changeTables(database: ServiceDatabase): Promise<boolean> {
  await database.rows('savepoint before_change');
  try {
    await database.rows('select switch_read_model()');
    return true;
  } catch (error) {
    if (!BUSY.includes((error as { code?: string }).code ?? '')) throw error;
    await database.rows('rollback to savepoint before_change');
    return false;
  }
}
