import { LRUCache } from 'lru-cache';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { watchConnection, type NatsConnection } from '@ates/service-kit/nats';
import { createWatchers } from '@ates/service-kit/watchers';
import { readEvent, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { eventsAbout } from '@ates/shared-events/streams';

export type TaskChangeKind = 'ASSIGNED' | 'UNASSIGNED' | 'UPDATED' | 'COMPLETED' | 'DELETED';

/** What has happened to a task that somebody has, or had until then. */
export interface TaskChange {
  readonly taskId: string;
  readonly kind: TaskChangeKind;
}

/** Who watches their tasks here, and how they hear of changes, whichever replica made them. */
export interface LiveTasks {
  /** The changes of one user's tasks from now on; of each task in their order. */
  watch(userId: string): Promise<AsyncIterableIterator<TaskChange>>;
  /** Takes up the connection over which events are published. */
  connect(nats: NatsConnection): void;
}

/** After a failure the relay publishes what may have been lost again: at most so much. */
const REPEATED_MAX_EVENTS = 20_000;

/** What an event means to the users it concerns. */
function changesOf(event: PublishedAtesEvent): (readonly [userId: string, change: TaskChange])[] {
  const taskId = event.subject;
  const of = (userId: string | null, kind: TaskChangeKind) => (userId === null ? [] : [[userId, { taskId, kind }] as const]);
  if (event.dataschema === 'task.assigned.v1') {
    const { assigneeId, previousAssigneeId } = event.data;
    return [...(previousAssigneeId === assigneeId ? [] : of(previousAssigneeId, 'UNASSIGNED')), ...of(assigneeId, 'ASSIGNED')];
  }
  if (event.dataschema === 'task.updated.v1') return of(event.data.assigneeId, 'UPDATED');
  if (event.dataschema === 'task.completed.v1') return of(event.data.assigneeId, 'COMPLETED');
  if (event.dataschema === 'task.deleted.v1') return of(event.data.assigneeId, 'DELETED');
  return [];
}

/**
 * Fans changes out to the subscribers of this process. It listens to the service's own events while somebody watches: so it hears
 * every replica, and a shuffle of any size, which no process has in its memory. Listening is no consuming: what is published while
 * the connection is down is not heard, so whoever watched then is told to look again.
 */
export function createLiveTasks(logger: Logger): LiveTasks {
  const heard = new LRUCache<string, true>({ max: REPEATED_MAX_EVENTS });
  const connected = Promise.withResolvers<NatsConnection>();
  let stopListening: (() => void) | undefined;
  let listening: Promise<void> | undefined;
  const watchers = createWatchers<TaskChange>(() => {
    stopListening?.();
    listening = undefined;
  });

  const hear = (text: string): void => {
    try {
      const event = readEvent(text);
      if (heard.has(event.id)) return;
      heard.set(event.id, true);
      for (const [userId, change] of changesOf(event)) watchers.tell(userId, change);
    } catch (error) {
      logger.warn({ err: error }, 'an event among the live ones could not be read');
    }
  };
  const listen = async (nats: NatsConnection): Promise<void> => {
    const subscription = nats.subscribe(eventsAbout('tasks', 'task'), { callback: (error, message) => (error === null ? hear(message.string()) : logger.warn({ err: error }, 'live events are not heard')) });
    stopListening = () => subscription.unsubscribe();
    // From here on the server sends what is published: nothing is missed after the answer.
    await nats.flush();
  };
  return {
    watch: async (userId) => {
      const nats = await connected.promise;
      const own = watchers.watch(userId);
      try {
        await (listening ??= listen(nats));
      } catch (error) {
        await own.return?.();
        throw error;
      }
      return own;
    },
    connect: (nats) => {
      connected.resolve(nats);
      watchConnection(nats, (isConnected) => {
        if (isConnected) watchers.end(() => new DomainError('SERVICE_UNAVAILABLE', 'Changes may have been missed: subscribe again, and reload myTasks'));
      });
    },
  };
}
