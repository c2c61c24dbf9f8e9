import { randomInt } from 'node:crypto';
import { Client } from 'pg';
import type { EventLogger } from './event-applier.ts';
import { pause } from './pause.ts';

export interface LeaseOptions {
  /** The consuming service's database; the lease has a session of its own there. */
  readonly databaseUrl: string;
  /** Tells apart what is leased in one database: a stream's name. */
  readonly name: string;
  /** How many partitions there are, numbered from 0. */
  readonly partitions: number;
  readonly logger: EventLogger;
  /** Called when `keep` or `leave` changed. */
  readonly onChange: () => void;
}

export interface Lease {
  /** The partitions that this replica owns and goes on to own. */
  readonly keep: ReadonlySet<number>;
  /** Those it owns still and should hand over by `release`, once nothing of them is under way. */
  readonly leave: ReadonlySet<number>;
  release(partition: number): void;
  stop(): Promise<void>;
}

const POLL_MS = 500;

/** Who is here, and who owns what: both are session advisory locks, so whoever crashes is gone from both at once. */
const HOLDERS = `
  select classid = hashtext($1)::oid as "isPartition", objid::bigint::int as key, pid = pg_backend_pid() as mine
  from pg_locks where locktype = 'advisory' and granted and objsubid = 2
    and database = (select oid from pg_database where datname = current_database())
    and classid in (hashtext($1)::oid, hashtext($2)::oid)`;

/**
 * Shares the partitions of a stream out among the replicas of a service, evenly, each owned by one at a time. Every
 * replica computes the same shares from the list of those present; the lock makes it wait until the one before has let go.
 * A frozen replica's session is ended by PostgreSQL after 5 s.
 */
export function startLease({ databaseUrl, name, partitions, logger, onChange }: LeaseOptions): Lease {
  const stopped = new AbortController();
  const keep = new Set<number>();
  const leave = new Set<number>();
  const released = new Set<number>();
  const classes = [`partitions of ${name}`, `replicas of ${name}`];
  const me = randomInt(2 ** 31);

  const share = async (session: Client): Promise<void> => {
    for (const partition of released) await session.query('select pg_advisory_unlock(hashtext($1), $2)', [classes[0], partition]);
    for (const partition of released) leave.delete(partition);
    released.clear();
    const { rows } = await session.query<{ isPartition: boolean; key: number; mine: boolean }>({ name: 'holders', text: HOLDERS, values: classes });
    const replicas = rows.filter(({ isPartition }) => !isPartition).map(({ key }) => key).sort((one, other) => one - other);
    const taken = new Set(rows.filter(({ isPartition }) => isPartition).map(({ key }) => key));
    const before = [...keep].join();
    for (let partition = 0; partition < partitions; partition++) {
      const isMine = replicas[partition % replicas.length] === me;
      if (isMine && leave.delete(partition)) keep.add(partition);
      if (!isMine && keep.delete(partition)) leave.add(partition);
      if (isMine && !taken.has(partition) && (await tryLock(session, classes[0] as string, partition))) keep.add(partition);
    }
    if (before === [...keep].join()) return;
    logger.info({ lease: name, partitions: [...keep], replicas: replicas.length }, 'partitions were shared out');
    onChange();
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      const session = new Client({ connectionString: databaseUrl, application_name: `lease of ${name}`, options: '-c idle_session_timeout=5000' });
      let lost: Error | undefined;
      session.on('error', (error) => (lost = error));
      try {
        await session.connect();
        await session.query('select pg_advisory_lock(hashtext($1), $2)', [classes[1], me]);
        while (!stopped.signal.aborted && lost === undefined) {
          await share(session);
          await pause(POLL_MS, stopped.signal);
        }
        if (lost !== undefined) throw lost;
      } catch (error) {
        logger.warn({ err: error, lease: name }, 'the session that owns the partitions was lost');
        await pause(POLL_MS, stopped.signal);
      } finally {
        for (const owned of [keep, leave, released]) owned.clear();
        onChange();
        await session.end().catch(() => {});
      }
    }
  })();
  return {
    keep,
    leave,
    release: (partition) => void released.add(partition),
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

async function tryLock(session: Client, lockClass: string, partition: number): Promise<boolean> {
  const { rows } = await session.query<{ locked: boolean }>('select pg_try_advisory_lock(hashtext($1), $2) as locked', [lockClass, partition]);
  return rows[0]?.locked === true;
}
