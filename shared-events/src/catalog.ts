import { accountBalanceChangedV1, accountChargedV1, accountRewardedV1, taskPricedV1 } from './accounting-events.ts';
import { assertContract, EventContractError, type EventDefinition, type EventOf, type PublishedEvent } from './event.ts';
import { taskAssignedV1, taskCompletedV1, taskCreatedV1, tasksDayEndedV1 } from './task-events.ts';
import { userAuthenticatedV1, userCreatedV1, userDeniedV1 } from './user-events.ts';

/** Every event version that anybody produces. */
export const CATALOG = [
  userCreatedV1,
  userAuthenticatedV1,
  userDeniedV1,
  taskCreatedV1,
  taskAssignedV1,
  taskCompletedV1,
  tasksDayEndedV1,
  taskPricedV1,
  accountChargedV1,
  accountRewardedV1,
  accountBalanceChangedV1,
] as const;

/** Any event of the catalogue; `dataschema` tells them apart. */
export type AtesEvent = EventOf<(typeof CATALOG)[number]>;
export type PublishedAtesEvent = PublishedEvent<AtesEvent>;

const DEFINITIONS: ReadonlyMap<string, EventDefinition> = new Map(CATALOG.map((definition) => [definition.dataschema, definition]));
const ENVELOPE_TEXTS = ['id', 'source', 'type', 'dataschema', 'subject', 'time', 'traceparent', 'sequence'] as const;

/** The contract behind a `dataschema`. @throws EventContractError when the catalogue has none. */
export function definitionOf(dataschema: string): EventDefinition {
  const definition = DEFINITIONS.get(dataschema);
  if (definition === undefined) throw new EventContractError(`${dataschema} is not in the catalogue: this consumer is older than its producer`);
  return definition;
}

/**
 * Reads an event from the stream.
 * @throws EventContractError when it is no JSON, no CloudEvents envelope, unknown, or does not fit its schema.
 */
export function readEvent(text: string): PublishedAtesEvent {
  const event = parseEnvelope(text);
  assertContract(definitionOf(String(event['dataschema'])), event['data']);
  return event as unknown as PublishedAtesEvent;
}

function parseEnvelope(text: string): Record<string, unknown> {
  let envelope: unknown;
  try {
    envelope = JSON.parse(text);
  } catch (error) {
    throw new EventContractError('The message is no JSON', { cause: error });
  }
  const event = envelope as Record<string, unknown> | null;
  if (event === null || typeof event !== 'object' || event['specversion'] !== '1.0') {
    throw new EventContractError('The message is no CloudEvents 1.0 envelope');
  }
  const missing = ENVELOPE_TEXTS.filter((attribute) => typeof event[attribute] !== 'string');
  if (missing.length > 0) throw new EventContractError(`The envelope lacks ${missing.join(', ')}`);
  return event;
}
