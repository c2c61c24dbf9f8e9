import type { RunSql } from './outbox.ts';

/** Where a partition stands. */
export interface Standing {
  readonly position: number;
  /** What the message there is called; null where there is nothing to compare. */
  readonly messageId: string | null;
}

/**
 * Where to read on. In a stream made anew: from its beginning, the inbox knows what was applied. In one that lost its end:
 * from there, since what comes at these positions now comes again or is new.
 */
export async function standing(sql: RunSql, { stream, partition }: { readonly stream: string; readonly partition: number }, now: { readonly created: string; readonly last: number }): Promise<Standing> {
  await sql('insert into inbox_positions (stream, partition) values ($1, $2) on conflict do nothing', [stream, partition]);
  const [known] = await sql<{ position: string; message_id: string; stream_created: string | null }>(
    'select position, message_id, stream_created from inbox_positions where stream = $1 and partition = $2 for update',
    [stream, partition],
  );
  const left = Number(known?.position ?? 0);
  const position = known?.stream_created === now.created ? Math.min(left, now.last) : 0;
  await sql('update inbox_positions set position = $3, stream_created = $4 where stream = $1 and partition = $2', [stream, partition, position, now.created]);
  return { position, messageId: position > 0 && position === left ? (known?.message_id ?? null) : null };
}

/** Aggregates whose next event waits in the inbox, as after a crash between two events that were applied one by one. */
export async function applicable(sql: RunSql, source: string): Promise<string[]> {
  const rows = await sql<{ aggregate_id: string }>(
    `select aggregate_id from inbox_waiting join inbox_versions using (source, aggregate_id)
     where source = $1 and inbox_waiting.version = inbox_versions.version + 1`,
    [source],
  );
  return rows.map(({ aggregate_id }) => aggregate_id);
}

/** Lets a partition be read from its beginning once more; the inbox knows what was applied. */
export async function startOver(sql: RunSql, stream: string, partition: number): Promise<void> {
  await sql(`update inbox_positions set position = 0, message_id = '' where stream = $1 and partition = $2`, [stream, partition]);
}

/** The partitions that stand elsewhere than this consumer left them. */
export async function movedElsewhere(sql: RunSql, stream: string, left: readonly (readonly [partition: number, position: number])[]): Promise<number[]> {
  const rows = await sql<{ partition: number }>(
    `select partition::int from inbox_positions join unnest($2::smallint[], $3::bigint[]) as left_at (partition, position) using (partition)
     where stream = $1 and inbox_positions.position <> left_at.position`,
    [stream, left.map(([partition]) => partition), left.map(([, position]) => position)],
  );
  return rows.map(({ partition }) => partition);
}
