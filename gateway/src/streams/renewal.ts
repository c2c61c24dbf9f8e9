import type { Logger } from '@ates/service-kit/logger';
import type { GraphQLFormattedError } from 'graphql';
import { OperationRefused, type Operations, type PreparedOperation } from '../prepared-operation.ts';
import type { LiveSubscription } from './live-subscription.ts';
import { streamError } from './stream-errors.ts';

interface RenewalParts {
  readonly operations: Pick<Operations, 'prepare'>;
  readonly live: ReadonlySet<LiveSubscription>;
  readonly logger: Logger;
}

/** So many are prepared before other work gets its turn. */
const AT_ONCE = 100;
const RATE_LIMITED_WAIT_MS = 1_000;
const SCHEMA_CHANGED = { reason: 'SCHEMA_CHANGED' };

/**
 * After a reload: prepares live subscriptions again. Those that are served by what is subscribed to at the subgraph go on, completed
 * by the new plan; the others end with an error that says to subscribe again. A renewal that is begun replaces the one under way.
 * @returns begins one
 */
export function createRenewal({ operations, live, logger }: RenewalParts): () => void {
  let latest = 0;
  const renewAll = async (generation: number): Promise<void> => {
    const counts = { kept: 0, ended: 0 };
    let remaining = [...live];
    while (remaining.length > 0) {
      const later: LiveSubscription[] = [];
      for (const [index, subscription] of remaining.entries()) {
        if (index % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
        if (generation !== latest) return;
        if (!live.has(subscription)) continue;
        const outcome = renew(operations, subscription, logger);
        if (outcome === 'later') later.push(subscription);
        else counts[outcome] += 1;
      }
      remaining = later;
      if (remaining.length > 0) await new Promise((resolve) => setTimeout(resolve, RATE_LIMITED_WAIT_MS).unref());
    }
    if (counts.kept + counts.ended > 0) logger.info(counts, 'live subscriptions were prepared again under the new supergraph');
  };
  return () => {
    latest += 1;
    void renewAll(latest);
  };
}

function renew(operations: Pick<Operations, 'prepare'>, subscription: LiveSubscription, logger: Logger): 'kept' | 'ended' | 'later' {
  const { prepared, start } = subscription;
  let renewed: PreparedOperation;
  try {
    const { query, operationName, variables, context } = prepared;
    renewed = operations.prepare({ query, operationName, variables }, context, start.transport);
  } catch (error) {
    if (error instanceof OperationRefused) {
      // Its user is at the limit of what they may ask: that is no reason to end what they asked for before.
      if (error.errors.every(({ extensions }) => extensions?.['code'] === 'RATE_LIMITED')) return 'later';
      subscription.fail([refused(error.errors[0])]);
      return 'ended';
    }
    logger.error({ err: error }, 'a live subscription could not be prepared under the new supergraph');
    subscription.fail([gone()]);
    return 'ended';
  }
  if (!subscription.holdsFor(renewed)) {
    subscription.fail([gone()]);
    return 'ended';
  }
  subscription.prepared = renewed;
  return 'kept';
}

function refused(error: GraphQLFormattedError | undefined): GraphQLFormattedError {
  const found = error === undefined ? '' : ` (${error.message})`;
  return streamError('BAD_USER_INPUT', `The schema has changed, and this subscription does not fit it any more${found}: change it and subscribe again`, SCHEMA_CHANGED);
}

function gone(): GraphQLFormattedError {
  return streamError('SERVICE_UNAVAILABLE', 'The schema has changed, and this subscription is served in another way now: subscribe again', SCHEMA_CHANGED);
}
