import type { Database, Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { isAssignable, type Role, type UserStatus } from '@ates/shared-events/user-events';

/** A user's name here is this until their first event has come. */
const NOT_YET_KNOWN = 'a popug not known here yet';

export interface UserState {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly status: UserStatus;
}

/**
 * Keeps what Tasks needs of users, from their whole states in events; of several states of one user the last counts.
 * @returns whether somebody began or ceased to be one who gets tasks
 */
export async function copyUsers(sql: Sql, users: readonly UserState[]): Promise<boolean> {
  const latest = [...new Map(users.map((user) => [user.id, user])).values()];
  const [row] = await sql<{ changed: boolean }>(
    `with copied as (
       insert into user_copies (user_id, name, assignable) select * from unnest($1::uuid[], $2::text[], $3::boolean[])
       on conflict (user_id) do update set name = excluded.name, assignable = excluded.assignable
       returning new.assignable <> coalesce(old.assignable, false) as changed
     )
     select coalesce(bool_or(changed), false) as changed from copied`,
    [latest.map(({ id }) => id), latest.map(({ name }) => name), latest.map(isAssignable)],
  );
  return row?.changed === true;
}

/** Names of users by id, one statement for all that an operation asks for at once. */
export function userNameLoader(database: Database): Loader<string, string> {
  return batchLoader(
    (ids) => database.sql<{ user_id: string; name: string }>('select user_id, name from user_copies where user_id = any($1::uuid[])', [ids]),
    ({ user_id }) => user_id,
    (row) => row?.name ?? NOT_YET_KNOWN,
  );
}
