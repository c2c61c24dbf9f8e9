import { accountBalanceChangedV1, accountChargedV1, accountRewardedV1, taskPricedV1 } from '@ates/shared-events/accounting-events';
import { readEvent, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent, type DomainEvent, type EventDefinition, type EventOf, type Producer } from '@ates/shared-events/event';
import { partitionOf, streamOf, UNPARTITIONED } from '@ates/shared-events/streams';
import { taskAssignedV1, taskCompletedV1, taskCreatedV1, taskCreatedV2, tasksDayEndedV1 } from '@ates/shared-events/task-events';
import { userAuthenticatedV1, userCreatedV1, userDeniedV1 } from '@ates/shared-events/user-events';
import type { Tape } from './tape.ts';

/** A message on its way; its position is its place in the stream. */
export interface BusMessage {
  readonly partition: number;
  readonly id: string;
  readonly text: string;
}

/** An event as its producer made it. */
export interface Happening {
  readonly id: string;
  readonly aggregateId: string;
  readonly version: number;
  /** Null when no consumer knows its version. */
  readonly event: PublishedAtesEvent | null;
}

/** One producer's stream. */
export interface History {
  readonly producer: Producer;
  readonly stream: string;
  /** In the order of the outbox. */
  readonly happenings: readonly Happening[];
  /** The same as messages: what a stream is filled with that is made anew. */
  readonly outbox: readonly BusMessage[];
  /** What is in the stream at first: with copies, with some that overtook others, with some that are no events. */
  readonly messages: readonly BusMessage[];
}

export interface World {
  readonly histories: readonly History[];
  /** Ids of events that can not be applied, until somebody mends what applies them. */
  readonly poison: ReadonlySet<string>;
  /** Ids of events that can not be applied for now, and how often: because of locks that others hold, say. */
  readonly stubborn: ReadonlyMap<string, number>;
}

const DAYS = ['2026-11-20', '2026-11-21'] as const;
const AT = new Date('2026-11-20T10:00:00.000Z');
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
const EMPLOYEES = ['00000000-0000-7000-8000-0000000e0000', '00000000-0000-7000-8000-0000000e0001'] as const;

type Made = DomainEvent<string, { readonly version: number }>;

/** Makes the events of several producers, with aggregates of every kind. */
class Author {
  readonly poison = new Set<string>();
  readonly stubborn = new Map<string, number>();
  readonly #tape: Tape;
  #count = 0;

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  /** Ids like those of UUIDv7, but the same each time. Aggregates are in two partitions: enough to be apart. */
  id(kind: string): string {
    this.#count += 1;
    return `00000000-0000-7000-${kind}-${this.#count.toString(16).padStart(10, '0')}0${this.#tape.choose(2)}`;
  }

  tasks(): Made[][] {
    const day = this.#tape.happens(4) ? [[this.#make(tasksDayEndedV1, this.id('8003'), { version: 1, businessDay: DAYS[0], endedAt: AT.toISOString(), lastTaskNumber: 1, assignments: 1, completions: 0 })]] : [];
    return [...Array.from({ length: 1 + this.#tape.choose(3) }, (_, index) => this.#task(this.id('8001'), index + 1)), ...day];
  }

  users(): Made[][] {
    const person = (userId: string) => this.#make(userCreatedV1, userId, { version: 1, name: 'Ann', email: 'ann@ates.test', roles: ['EMPLOYEE'], status: 'ACTIVE' });
    const attempts = Array.from({ length: this.#tape.choose(3) }, () => {
      const attempt = { version: 1, method: 'PASSWORD', attemptedAt: AT.toISOString(), userId: EMPLOYEES[0] } as const;
      return this.#tape.happens(2) ? this.#make(userDeniedV1, this.id('8004'), { ...attempt, reason: 'WRONG_CREDENTIAL' }) : this.#make(userAuthenticatedV1, this.id('8004'), attempt);
    });
    return [...EMPLOYEES.slice(0, 1 + this.#tape.choose(2)).map(person), ...attempts].map((event) => [event]);
  }

  accounts(): Made[][] {
    const priced = Array.from({ length: this.#tape.choose(3) }, () => [this.#make(taskPricedV1, this.id('8001'), { version: 1, fee: cents(1_234), reward: cents(3_456), pricedAt: AT.toISOString() })]);
    return [...priced, this.#account(this.id('8005'), EMPLOYEES[this.#tape.choose(2)] as string)];
  }

  #task(taskId: string, number: number): Made[] {
    const state = { version: 1, number, description: '', status: 'OPEN', creatorId: EMPLOYEES[0], createdAt: AT.toISOString() } as const;
    const events: Made[] = [
      this.#tape.happens(2) ? this.#make(taskCreatedV1, taskId, { ...state, title: '[POPUG-1] Feed' }) : this.#make(taskCreatedV2, taskId, { ...state, ticket: null, title: 'Feed' }),
    ];
    const assignments = this.#tape.choose(4);
    let assignmentNumber = 0;
    let assigneeId: string = EMPLOYEES[0];
    for (let nth = 0; nth < assignments; nth++) {
      // Now and then a producer tells of the same assignment again, as another event.
      assignmentNumber = Math.max(assignmentNumber + (this.#tape.happens(8) ? 0 : 1), 1);
      assigneeId = EMPLOYEES[this.#tape.choose(2)] as string;
      events.push(this.#make(taskAssignedV1, taskId, { version: events.length + 1, assignmentNumber, assigneeId, previousAssigneeId: null, businessDay: this.#day(), assignedAt: AT.toISOString() }));
    }
    if (assignments > 0 && this.#tape.happens(2)) {
      events.push(this.#make(taskCompletedV1, taskId, { version: events.length + 1, assignmentNumber, assigneeId, businessDay: this.#day(), completedAt: AT.toISOString() }));
    }
    return events;
  }

  #account(accountId: string, ownerId: string): Made[] {
    const events: Made[] = [];
    let balance = 0;
    for (let nth = this.#tape.choose(4); nth > 0; nth--) {
      const amount = this.#tape.happens(2) ? 3_000 : -1_500;
      balance += amount;
      const kind = amount > 0 ? ('REWARD' as const) : ('FEE' as const);
      const entry = { id: this.id('8006'), kind, amount: cents(amount), balanceAfter: cents(balance), description: '', taskId: null, businessDay: this.#day(), postedAt: AT.toISOString() };
      events.push(this.#make(amount > 0 ? accountRewardedV1 : accountChargedV1, accountId, { version: events.length + 1, ownerId, entry }));
    }
    if (events.length > 0) events.push(this.#make(accountBalanceChangedV1, accountId, { version: events.length + 1, ownerId, balance: cents(balance), changedAt: AT.toISOString() }));
    return events;
  }

  #day(): (typeof DAYS)[number] {
    return DAYS[this.#tape.choose(2)] as (typeof DAYS)[number];
  }

  #make<Definition extends EventDefinition>(definition: Definition, aggregateId: string, data: EventOf<Definition>['data']): Made {
    const event = { ...(newEvent(definition, aggregateId, data, { time: AT, traceparent: TRACEPARENT }) as Made), id: this.id('9000') };
    const kind = this.#tape.choose(24);
    if (kind === 23 || kind === 22) this.poison.add(event.id);
    if (kind === 21) this.stubborn.set(event.id, 6);
    // Of a version that was made after this consumer.
    return kind === 20 ? { ...event, dataschema: `${event.type}.v9` } : event;
  }
}

/** Everything that happens, decided by the tape. */
export function makeWorld(tape: Tape): World {
  const author = new Author(tape);
  const made: [Producer, Made[][]][] = [['tasks', author.tasks()]];
  if (!tape.happens(3)) made.push(['accounting', author.accounts()]);
  if (tape.happens(2)) made.push(['users', author.users()]);
  return { histories: made.map(([producer, aggregates]) => historyOf(producer, aggregates, tape)), poison: author.poison, stubborn: author.stubborn };
}

function historyOf(producer: Producer, aggregates: readonly Made[][], tape: Tape): History {
  const left = aggregates.filter(({ length }) => length > 0).map((events) => [...events]);
  const events: Made[] = [];
  while (left.length > 0) {
    const place = tape.choose(left.length);
    events.push(left[place]?.shift() as Made);
    if (left[place]?.length === 0) left.splice(place, 1);
  }
  const isByHand = tape.happens(4);
  const outbox = events.map((event, index) => messageOf({ ...event, sequence: String(index + 1) }, isByHand && tape.happens(3)));
  const happenings = events.map((event, index) => ({ id: event.id, aggregateId: event.subject, version: event.data.version, event: isUnknown(event) ? null : readEvent(outbox[index]?.text ?? '') }));
  return { producer, stream: streamOf(producer), happenings, outbox, messages: disturbed(outbox, happenings, tape) };
}

function isUnknown({ dataschema }: Made): boolean {
  return dataschema.endsWith('.v9');
}

function messageOf(event: Made & { readonly sequence: string }, isByHand: boolean): BusMessage {
  return { partition: isByHand ? UNPARTITIONED : partitionOf(event.subject), id: event.id, text: JSON.stringify(event) };
}

/** What may come of an outbox: a copy under another position, an event that overtook others, something that is no event, an id used again. */
function disturbed(outbox: readonly BusMessage[], happenings: readonly Happening[], tape: Tape): BusMessage[] {
  const messages = [...outbox];
  for (let nth = tape.choose(4); nth > 0 && outbox.length > 0; nth--) {
    const place = tape.choose(messages.length);
    const message = messages[place] as BusMessage;
    const later = place + 1 + tape.choose(messages.length - place);
    const kind = tape.choose(3);
    if (kind === 0) messages.splice(later, 0, message);
    if (kind === 1) messages.splice(later - 1, 0, ...messages.splice(place, 1));
    if (kind === 2) messages.splice(place, 0, { partition: UNPARTITIONED, id: '', text: 'no event at all' });
  }
  if (outbox.length === 0 || !tape.happens(4)) return messages;
  const copied = tape.choose(outbox.length);
  const event = happenings[copied]?.event;
  const place = messages.indexOf(outbox[copied] as BusMessage);
  const impostor = JSON.stringify({ ...event, data: { ...event?.data, version: (event?.data.version ?? 0) + 1 } });
  if (event !== null) messages.splice(place + 1 + tape.choose(messages.length - place), 0, { ...(outbox[copied] as BusMessage), text: impostor });
  return messages;
}
