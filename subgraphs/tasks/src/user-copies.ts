import type { Database, Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { isAssignable, type Role, type UserStatus } from '@ates/shared-events/user-events';

/** A user's name here is this until their first event has come. */
const NOT_YET_KNOWN = 'a popug not known here yet';

/** Keeps what Tasks needs of a user, from the user's whole state in an event. */
export async function copyUser(
  sql: Sql,
  user: { readonly id: string; readonly name: string; readonly roles: readonly Role[]; readonly status: UserStatus },
): Promise<void> {
  await sql(
    `insert into user_copies (user_id, name, assignable) values ($1, $2, $3)
     on conflict (user_id) do update set name = excluded.name, assignable = excluded.assignable`,
    [user.id, user.name, isAssignable(user)],
  );
}

/** Names of users by id, one statement for all that an operation asks for at once. */
export function userNameLoader(database: Database): Loader<string, string> {
  return batchLoader(
    (ids) => database.sql<{ user_id: string; name: string }>('select user_id, name from user_copies where user_id = any($1::uuid[])', [ids]),
    ({ user_id }) => user_id,
    (row) => row?.name ?? NOT_YET_KNOWN,
  );
}
