import { jetstreamManager, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { EventLogger } from './event-applier.ts';
import { PREVIOUS_HEADER } from './stream-publisher.ts';
import { laneOf } from './streams.ts';

const LOOK_TIMEOUT_MS = 1_000;

/**
 * Sees that no message is skipped: each says which one comes before it in its lane. Its number of delivery does not tell. Another
 * replica, one that was frozen and does not know yet that the partition is not its own any more, may make the partition's consumer
 * anew under the same name and at another position; and as messages come by hundreds, its numbers may go on from ours.
 * @param start where the partition stands: everything up to there has been applied
 */
export function laneChain(nats: NatsConnection, stream: string, start: number, logger: EventLogger) {
  const seen = new Map<string, number>();
  return {
    /** @throws when a message was skipped that is in the stream */
    add: async (message: Pick<JsMsg, 'subject' | 'seq' | 'headers'>): Promise<void> => {
      const lane = laneOf(message.subject);
      if (lane === null) return;
      const previous = Number(message.headers?.get(PREVIOUS_HEADER) ?? 0);
      const last = Math.max(seen.get(lane) ?? 0, start);
      seen.set(lane, message.seq);
      if (previous <= last) return;
      const manager = await jetstreamManager(nats, { checkAPI: false, timeout: LOOK_TIMEOUT_MS });
      const skipped = await manager.streams.getMessage(stream, { seq: previous });
      // One from before there were partitions came another way.
      if (skipped !== null && laneOf(skipped.subject) !== lane) return;
      if (skipped !== null) throw new Error(`Message ${previous} of ${stream} was skipped`);
      logger.error({ stream, lane, missing: previous, after: last }, 'a message was deleted from the stream: what waits for it stays waiting');
    },
  };
}
