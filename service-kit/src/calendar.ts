import type { Sql } from './database.ts';

/** The calendar date (`YYYY-MM-DD`) that a moment has in a time zone, by the database: it alone computes dates. */
export async function dateIn(sql: Sql, timeZone: string, moment: Date): Promise<string> {
  const [row] = await sql<{ date: string }>('select ($1::timestamptz at time zone $2)::date::text as date', [moment, timeZone]);
  if (row === undefined) throw new Error('The database gave no date');
  return row.date;
}
