import type { Sql } from '@ates/service-kit/database';
import type { TaskLabel } from './ledger.ts';

/** A user's name here is this until their first event has come. */
export const UNKNOWN_USER_NAME = 'a popug not known here yet';
/** A task is this here until its first event has come. */
export const UNKNOWN_TASK: TaskLabel = { number: 0, ticket: null, title: 'a task not known here yet' };

/** What Accounting keeps of a user. */
export interface UserCopy {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly roles: readonly string[];
  readonly status: string;
}

/** Keeps what Accounting needs of users: whom an account belongs to, and whom mail goes to. */
export async function copyUsers(sql: Sql, users: readonly UserCopy[]): Promise<void> {
  // The last state of each wins: one statement can't write a row twice.
  const latest = [...new Map(users.map((user) => [user.id, user])).values()];
  await sql(
    `insert into user_copies (user_id, name, email, roles, status)
     select user_id, name, email, string_to_array(roles, ' '), status
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) as state (user_id, name, email, roles, status)
     on conflict (user_id) do update set name = excluded.name, email = excluded.email, roles = excluded.roles, status = excluded.status`,
    [
      latest.map(({ id }) => id),
      latest.map(({ name }) => name),
      latest.map(({ email }) => email),
      latest.map(({ roles }) => roles.join(' ')),
      latest.map(({ status }) => status),
    ],
  );
}

/** Keeps what Accounting needs of tasks. */
export async function copyTasks(sql: Sql, tasks: readonly (TaskLabel & { readonly id: string })[]): Promise<void> {
  if (tasks.length === 0) return;
  const latest = [...new Map(tasks.map((task) => [task.id, task])).values()];
  await sql(
    `insert into task_copies (task_id, number, ticket, title) select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[])
     on conflict (task_id) do update set number = excluded.number, ticket = excluded.ticket, title = excluded.title`,
    [latest.map(({ id }) => id), latest.map(({ number }) => number), latest.map(({ ticket }) => ticket), latest.map(({ title }) => title)],
  );
}
