import { openDatabase, type Sql } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { NatsConnection } from '@ates/service-kit/nats';
import { PRODUCERS } from '@ates/shared-events/event';
import { startConsumer, type EventConsumer, type EventLogger } from '@ates/shared-events/event-consumer';
import { streamOf } from '@ates/shared-events/streams';
import { reactToEvents } from './reactions.ts';

/** Where a rebuild makes the model anew: see migrations/2026-11-23-rebuild-beside.ts. */
export const REBUILD_SCHEMA = 'rebuild_model';

export interface RebuildingOptions {
  /** The service's database, as the application's role; the schema is there. */
  readonly databaseUrl: string;
  /** As a user who may make consumers of any name. */
  readonly nats: NatsConnection;
  readonly timeZone: string;
  readonly logger: EventLogger;
}

/** The service's own consumers, at work on the model beside the one in use. */
export interface Rebuilding {
  /** Reads on from where the new model stands. */
  start(): void;
  /** When this resolves nothing is under way any more. */
  stop(): Promise<void>;
  /** Null while events are being applied, else the reason why they are not. */
  check(): string | null;
  close(): Promise<void>;
}

/** The name that its JetStream consumers and its leases have: the running service's are others. */
const NAME = 'analytics-rebuild';
const BATCH_MAX_EVENTS = 5_000;
/** A full batch costs less per event, and nobody waits for the first one. */
const GATHER_MS = 50;

/** Opens the database for it; `start` begins. */
export async function openRebuilding({ databaseUrl, nats, timeZone, logger }: RebuildingOptions): Promise<Rebuilding> {
  const database = await openDatabase({ url: onRebuilt(databaseUrl), ownerUrl: null, entities: [], migrations: [], logger: createLogger('analytics', 'silent') });
  let consumers: EventConsumer[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(consumers.map((consumer) => consumer.stop()));
    consumers = [];
  };
  return {
    start: () => {
      consumers = PRODUCERS.map((producer) =>
        startConsumer({
          producer,
          service: NAME,
          leaseName: `${streamOf(producer)} for ${NAME}`,
          databaseUrl,
          lingerMs: GATHER_MS,
          batchMaxEvents: BATCH_MAX_EVENTS,
          nats,
          logger,
          transaction: database.sqlTransaction,
          // Nobody listens for its changes.
          react: async (events, sql) => void (await reactToEvents(sql, timeZone, events)),
        }),
      );
    },
    stop,
    check: () => consumers.map((consumer) => consumer.check()).find((failure) => failure !== null) ?? null,
    close: async () => {
      await stop();
      await database.close();
    },
  };
}

/** Unqualified names mean the new tables. A statement may wait while their indexes are made, however long. What the sessions commit is on disk when the switch, which waits for the disk, is. */
function onRebuilt(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  const settings = { search_path: `${REBUILD_SCHEMA},public`, synchronous_commit: 'off', statement_timeout: '0' };
  url.searchParams.set('options', Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`).join(' '));
  return url.href;
}

/** Notes what the model's days depend on besides events, so that a rebuild goes by the same. */
export async function noteTimeZone(sql: Sql, timeZone: string): Promise<void> {
  await sql(
    `insert into read_model_settings as known (business_time_zone) values ($1)
     on conflict (single) do update set business_time_zone = excluded.business_time_zone where known.business_time_zone <> excluded.business_time_zone`,
    [timeZone],
  );
}
