import type { Sql } from '@ates/service-kit/database';
import { isId } from '@ates/service-kit/identifiers';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { cents, type Cents } from '@ates/shared-events/cents';

export interface TaskCopy {
  readonly id: string;
  /** 0 until its first event has come. */
  readonly number: number;
  readonly ticket: string | null;
  readonly title: string;
  readonly reward: Cents | null;
}

/** A user's name here is this until their first event has come. */
export const UNKNOWN_USER_NAME = 'a popug not known here yet';

/** Tasks' copies by id, one statement for all that an operation asks for at once. */
export function taskCopyLoader(sql: Sql): Loader<string, TaskCopy> {
  interface Row {
    readonly id: string;
    readonly number: number | null;
    readonly ticket: string | null;
    readonly title: string | null;
    readonly reward: string | null;
  }
  return batchLoader(
    (ids) =>
      sql<Row>(
        `select id, number, ticket, title, reward from unnest($1::uuid[]) as asked (id)
         left join task_copies on task_copies.task_id = id left join task_rewards on task_rewards.task_id = id`,
        [ids.filter(isId)],
      ),
    ({ id }) => id,
    (row, id) => ({
      id,
      number: row?.number ?? 0,
      ticket: row?.ticket ?? null,
      title: row?.title ?? 'a task not known here yet',
      reward: row?.reward == null ? null : cents(row.reward),
    }),
  );
}

/** Users' names by id, one statement for all that an operation asks for at once. */
export function userNameLoader(sql: Sql): Loader<string, string> {
  return batchLoader(
    (ids) => sql<{ user_id: string; name: string }>('select user_id, name from user_copies where user_id = any($1::uuid[])', [ids.filter(isId)]),
    ({ user_id }) => user_id,
    (row) => row?.name ?? UNKNOWN_USER_NAME,
  );
}
