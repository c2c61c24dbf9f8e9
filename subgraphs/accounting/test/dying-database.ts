import type { Database, Sql } from '@ates/service-kit/database';

/**
 * A database whose connection is ended before the statement of a transaction that comes after so many; its commit counts as one.
 * @param end ends the session of that process id
 */
export function dyingAfter(database: Database, statements: number, end: (pid: number) => Promise<unknown>): { readonly database: Database; readonly done: () => number } {
  let done = 0;
  const count = async (sql: Sql): Promise<void> => {
    if (done === statements) {
      const [session] = await sql<{ pid: number }>('select pg_backend_pid() as pid');
      await end(session?.pid ?? 0);
    }
    done += 1;
  };
  const dying = (sql: Sql): Sql => {
    const run = async <Row>(text: string, params?: readonly unknown[]): Promise<Row[]> => {
      await count(sql);
      return sql<Row>(text, params);
    };
    return Object.assign(run, { later: async (text: string, params?: readonly unknown[]): Promise<void> => void (await run(text, params)) });
  };
  const sqlTransaction: Database['sqlTransaction'] = (work) =>
    database.sqlTransaction(async (sql) => {
      const result = await work(dying(sql));
      await count(sql);
      return result;
    });
  return { database: { ...database, sqlTransaction }, done: () => done - 1 };
}
