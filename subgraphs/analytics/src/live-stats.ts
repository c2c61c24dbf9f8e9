import { randomUUID } from 'node:crypto';
import type { Logger } from '@ates/service-kit/logger';
import type { NatsConnection } from '@ates/service-kit/nats';
import type { DayStats } from './day-stats.ts';
import { createLatest, type Latest } from './latest.ts';

/** Who watches the current business day here, and how they hear that it has changed, whichever replica applied the events. */
export interface LiveStats {
  /** Tells every replica that days have just changed; a hint, never needed for correctness. */
  announce(days: readonly string[]): void;
  /** The current business day's stats: at once, then when they have changed. Whoever is slower gets the latest ones. */
  watch(): AsyncIterableIterator<DayStats>;
  /** Starts to hear other replicas. */
  connect(nats: NatsConnection): void;
  stop(): void;
}

interface LiveStatsParts {
  /** The current business day, `YYYY-MM-DD`. */
  readonly currentDay: () => Promise<string>;
  readonly read: (day: string) => Promise<DayStats>;
  readonly logger: Logger;
  /** How often it is looked whether a new day has begun, in ms; default 2,000. */
  readonly dayLookMs?: number;
}

/** Outside of every stream: what nobody watches is not kept. */
const SUBJECT = 'live.analytics.days_changed';
/** However many events come, stats are read and sent no more often. */
export const LIVE_INTERVAL_MS = 350;
const DAY_LOOK_MS = 2_000;
/** Far below the megabyte that a message may have. While a model is made again, thousands of days change; the rest is told of with the next ones. */
const MESSAGE_MAX_DAYS = 1_000;

/** Fans changes of days out to the subscribers of this process. */
export function createLiveStats(parts: LiveStatsParts): LiveStats {
  const audience = createAudience(parts);
  const news = createNews(parts.logger, audience.show);
  return {
    announce: (days) => {
      if (days.length === 0) return;
      audience.show();
      news.tell(days);
    },
    watch: audience.watch,
    connect: news.connect,
    stop: () => {
      audience.stop();
      news.stop();
    },
  };
}

/** Those who watch in this process: one reading of the stats serves them all. */
function createAudience({ currentDay, read, logger, dayLookMs = DAY_LOOK_MS }: LiveStatsParts) {
  const watchers = new Set<Latest<DayStats>>();
  /** Those who have not got anything yet. */
  const newcomers = new Set<Latest<DayStats>>();
  let shownDay: string | undefined;
  let looking: NodeJS.Timeout | undefined;
  /** Gives the stats of now to whoever `takers` are by the time that they have been read. */
  const give = async (takers: () => Iterable<Latest<DayStats>>): Promise<void> => {
    try {
      const day = await currentDay();
      const stats = await read(day);
      shownDay = day;
      for (const watcher of takers()) {
        newcomers.delete(watcher);
        watcher.push(stats);
      }
    } catch (error) {
      logger.warn({ err: error }, 'the stats of the day cannot be read for those who watch them');
      show.again();
    }
  };
  const show = throttled(async () => {
    if (watchers.size > 0) await give(() => watchers);
  });
  /** Time passes without events: a day that nothing has happened on has stats too. */
  const lookAtDay = async (): Promise<void> => {
    try {
      if ((await currentDay()) !== shownDay) show.again();
    } catch {
      // The next look is soon; what can't be read is said where it is shown.
    }
  };
  const leave = (watcher: Latest<DayStats>): void => {
    watchers.delete(watcher);
    newcomers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  };
  return {
    show: show.again,
    watch: (): AsyncIterableIterator<DayStats> => {
      const watcher: Latest<DayStats> = createLatest(() => leave(watcher));
      watchers.add(watcher);
      newcomers.add(watcher);
      looking ??= setInterval(() => void lookAtDay(), dayLookMs).unref();
      // What was read for everybody meanwhile is newer.
      void give(() => (newcomers.has(watcher) ? [watcher] : []));
      return watcher;
    },
    stop: () => {
      show.stop();
      for (const watcher of watchers) void watcher.return?.();
    },
  };
}

/** What replicas tell each other. */
function createNews(logger: Logger, onHeard: () => void) {
  const replica = randomUUID();
  const untold = new Set<string>();
  let nats: NatsConnection | undefined;
  const tellSome = throttled(async () => {
    const days = [...untold].toSorted().slice(0, MESSAGE_MAX_DAYS);
    for (const day of days) untold.delete(day);
    if (nats?.isClosed() === false) nats.publish(SUBJECT, JSON.stringify({ replica, days }));
    if (untold.size > 0) tellSome.again();
  });
  return {
    tell: (days: readonly string[]) => {
      for (const day of days) untold.add(day);
      tellSome.again();
    },
    connect: (connection: NatsConnection) => {
      nats = connection;
      connection.subscribe(SUBJECT, {
        callback: (error, message) => {
          if (error !== null) return logger.warn({ err: error }, 'live changes of days are not heard');
          try {
            // This one's own watchers know already.
            if (message.json<{ replica: string }>().replica !== replica) onHeard();
          } catch (unreadable) {
            // NATS lets any service name this subject as where its answers go.
            logger.warn({ err: unreadable }, 'a message among the live changes of days could not be read');
          }
        },
      });
    },
    stop: tellSome.stop,
  };
}

/** Work that is done soon after it is asked for, once for all who ask meanwhile, and no sooner than `LIVE_INTERVAL_MS` after its last beginning. */
function throttled(work: () => Promise<void>): { again(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let isAsked = false;
  let isBusy = false;
  let isStopped = false;
  let lastAt = -Infinity;
  const begin = async (): Promise<void> => {
    timer = undefined;
    isAsked = false;
    isBusy = true;
    lastAt = performance.now();
    try {
      await work();
    } finally {
      isBusy = false;
      if (isAsked) schedule();
    }
  };
  const schedule = (): void => {
    isAsked = true;
    if (isBusy || isStopped || timer !== undefined) return;
    timer = setTimeout(() => void begin(), Math.max(0, lastAt + LIVE_INTERVAL_MS - performance.now())).unref();
  };
  return {
    again: schedule,
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
