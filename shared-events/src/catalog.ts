import {
  accountBalanceChangedV1,
  accountCarriedOverV1,
  accountChargedV1,
  accountPaidV1,
  accountReversedV1,
  accountRewardedV1,
  dayClosedV1,
  dayCloseRequestedV1,
  dayOpenedV1,
  taskPricedV1,
} from './accounting-events.ts';
import { assertContract, EventContractError, type EventDefinition, type EventOf, type PublishedEvent } from './event.ts';
import {
  taskAssignedV1,
  taskCompletedV1,
  taskCreatedV1,
  taskCreatedV2,
  taskCreatedV2From,
  taskDeletedV1,
  tasksDayEndedV1,
  tasksShuffledV1,
  taskUpdatedV1,
} from './task-events.ts';
import {
  userAuthenticatedV1,
  userCreatedV1,
  userDeactivatedV1,
  userDeletedV1,
  userDeniedV1,
  userReactivatedV1,
  userRoleChangedV1,
  userUpdatedV1,
} from './user-events.ts';

/** Every event version that is in a stream: streams forget nothing, so none ever leaves this list. */
export const CATALOG = [
  userCreatedV1,
  userUpdatedV1,
  userRoleChangedV1,
  userDeactivatedV1,
  userReactivatedV1,
  userDeletedV1,
  userAuthenticatedV1,
  userDeniedV1,
  taskCreatedV1,
  taskCreatedV2,
  taskUpdatedV1,
  taskAssignedV1,
  tasksShuffledV1,
  taskCompletedV1,
  taskDeletedV1,
  tasksDayEndedV1,
  taskPricedV1,
  accountChargedV1,
  accountRewardedV1,
  accountReversedV1,
  accountPaidV1,
  accountCarriedOverV1,
  accountBalanceChangedV1,
  dayCloseRequestedV1,
  dayClosedV1,
  dayOpenedV1,
] as const;

/** Old versions: what follows each, and how its data reads then. Here, and nowhere else, is an old version known. */
export const UPCASTS = {
  'task.created.v1': { to: taskCreatedV2, data: taskCreatedV2From },
} as const;

/** Any event of the catalogue; `dataschema` tells them apart. */
export type AtesEvent = EventOf<(typeof CATALOG)[number]>;
/** Any event as consumers read it: always of the newest version. */
export type PublishedAtesEvent = PublishedEvent<Exclude<AtesEvent, { dataschema: keyof typeof UPCASTS }>>;

/** An event that carries a user's whole public state. */
export type UserStateEvent = Extract<
  PublishedAtesEvent,
  { dataschema: 'user.created.v1' | 'user.updated.v1' | 'user.role_changed.v1' | 'user.deactivated.v1' | 'user.reactivated.v1' | 'user.deleted.v1' }
>;

/** For those who keep copies of users: whichever of these comes, it is the state from there on. */
export function isUserState(event: PublishedAtesEvent): event is UserStateEvent {
  return event.source === '/users' && 'roles' in event.data;
}

interface Upcast {
  readonly to: EventDefinition;
  readonly data: (data: never) => PublishedEvent['data'];
}

const DEFINITIONS: ReadonlyMap<string, EventDefinition> = new Map(CATALOG.map((definition) => [definition.dataschema, definition]));
const ENVELOPE_TEXTS = ['id', 'source', 'type', 'dataschema', 'subject', 'time', 'traceparent', 'sequence'] as const;

/** The contract behind a `dataschema`. @throws EventContractError when the catalogue has none. */
export function definitionOf(dataschema: string): EventDefinition {
  const definition = DEFINITIONS.get(dataschema);
  if (definition === undefined) throw new EventContractError(`${dataschema} is not in the catalogue: this consumer is older than its producer`);
  return definition;
}

/**
 * Reads an event from the stream: an old version as the newest one.
 * @throws EventContractError when it is no JSON, no CloudEvents envelope, unknown, or does not fit its schema.
 */
export function readEvent(text: string): PublishedAtesEvent {
  const event = parseEnvelope(text);
  assertContract(definitionOf(String(event['dataschema'])), event['data']);
  return upcast(event as unknown as PublishedEvent);
}

/** An event of any version as one of the newest; for those that were read, and kept, before that version was known. */
export function upcast(event: PublishedEvent): PublishedAtesEvent {
  const step = (UPCASTS as Readonly<Record<string, Upcast>>)[event.dataschema];
  if (step === undefined) return event as PublishedAtesEvent;
  return upcast({ ...event, dataschema: step.to.dataschema, data: step.data(event.data as never) });
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
