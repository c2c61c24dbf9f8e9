import type { Sql } from '@ates/service-kit/database';
import { REVOCATION_ENTRIES_MAX } from '@ates/service-kit/revocation-message';
import type { NewRevocation, Revocation } from '@ates/service-kit/revocations';

/** Held from the number to the commit, so that numbers are in the order of commits: who reads on after one misses none. */
const REVOCATIONS_LOCK = 7_061_005;
/** Access tokens live for 5 minutes: what is older has nothing left to refuse. */
const TOLD_FOR = '10 minutes';

/** Notes, in the transaction of the change, what must be refused everywhere from its commit on. To be called last: others wait for the commit. */
export async function recordRevocations(sql: Sql, revocations: readonly NewRevocation[]): Promise<void> {
  if (revocations.length === 0) return;
  await sql('select pg_advisory_xact_lock($1)', [REVOCATIONS_LOCK]);
  await sql(
    `insert into revocations (user_id, below_version, session_id, at)
     select user_id, below_version, session_id, clock_timestamp()
     from unnest($1::uuid[], $2::int[], $3::uuid[]) with ordinality as revoked (user_id, below_version, session_id, place) order by place`,
    [
      revocations.map((revoked) => ('userId' in revoked ? revoked.userId : null)),
      revocations.map((revoked) => ('userId' in revoked ? revoked.belowVersion : null)),
      revocations.map((revoked) => ('sessionId' in revoked ? revoked.sessionId : null)),
    ],
  );
}

/** What was revoked after that number, in order, as far as it still matters. */
export async function readRevocations(sql: Sql, after: number): Promise<{ readonly last: number; readonly more: boolean; readonly entries: Revocation[] }> {
  const rows = await sql<{ seq: string | null; user_id: string; below_version: number; session_id: string | null; newest: string }>(
    `with newest as (select coalesce(max(seq), 0) as newest from revocations)
     select told.*, newest from newest left join lateral (
       select seq, user_id, below_version, session_id from revocations where seq > $1 and at > now() - $2::interval order by seq limit $3
     ) as told on true`,
    [after, TOLD_FOR, REVOCATION_ENTRIES_MAX + 1],
  );
  const told = rows.filter(({ seq }) => seq !== null);
  const more = told.length > REVOCATION_ENTRIES_MAX;
  const entries = told
    .slice(0, REVOCATION_ENTRIES_MAX)
    .map(({ seq, user_id, below_version, session_id }): Revocation =>
      session_id === null ? { seq: Number(seq), userId: user_id, belowVersion: below_version } : { seq: Number(seq), sessionId: session_id },
    );
  return { last: more ? (entries.at(-1)?.seq ?? after) : Number(rows[0]?.newest ?? 0), more, entries };
}

/** Forgets what is told no more, but for the last one: its number goes on. */
export async function forgetRevocations(sql: Sql): Promise<void> {
  await sql(`delete from revocations where at < now() - interval '1 day' and seq < (select max(seq) from revocations)`);
}
