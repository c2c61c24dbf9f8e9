import type { RunSql } from './outbox.ts';

/** A message that can't be read, and why. */
export interface DeadLetter {
  readonly stream: string;
  readonly streamSeq: number;
  readonly reason: string;
  readonly message: string;
}

/** Parks messages so that those behind them need not wait; parking one twice changes nothing. */
export async function parkMessages(sql: RunSql, letters: readonly DeadLetter[]): Promise<void> {
  if (letters.length === 0) return;
  await sql(
    `insert into dead_letters (stream, stream_seq, reason, message)
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) on conflict do nothing`,
    [
      letters.map(({ stream }) => stream),
      letters.map(({ streamSeq }) => streamSeq),
      letters.map(({ reason }) => reason),
      letters.map(({ message }) => message),
    ],
  );
}
