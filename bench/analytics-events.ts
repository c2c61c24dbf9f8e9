import { randomUUID } from 'node:crypto';
import { accountChargedV1, accountPaidV1, accountRewardedV1, taskPricedV1, type EntryKind } from '@ates/shared-events/accounting-events';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent, type EventDefinition, type PublishedEvent } from '@ates/shared-events/event';
import { subjectOf } from '@ates/shared-events/streams';
import { taskAssignedV1, taskCompletedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { userCreatedV1 } from '@ates/shared-events/user-events';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { between, type Random } from '../chaos/random.ts';

/** What the events come to. */
export interface Told {
  readonly events: number;
  readonly entries: number;
  readonly completions: number;
  readonly users: number;
}

const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
const DAYS = 30;
const DAY_MS = 86_400_000;
const IN_FLIGHT = 2_000;
const DONE_SHARE = 0.75;
const ENTRY_EVENTS = { FEE: accountChargedV1, REWARD: accountRewardedV1, REVERSAL: accountChargedV1, PAYOUT: accountPaidV1 } as const;

interface Employee {
  readonly id: string;
  readonly account: string;
  version: number;
  balance: number;
}

/** A month of tasks, from their creation to the money, with the daily payouts: six events a task, none of which is without effect here. */
export class Events {
  readonly #random: Random;
  readonly #employees: readonly Employee[];
  readonly #told = { events: 0, entries: 0, completions: 0 };
  #tasks = 0;

  constructor(random: Random, employees: number) {
    this.#random = random;
    this.#employees = Array.from({ length: employees }, () => ({ id: randomUUID(), account: randomUUID(), version: 0, balance: 0 }));
  }

  get told(): Told {
    return { ...this.#told, users: this.#employees.length };
  }

  /** About so many, each aggregate's in the order of its versions. */
  *draw(count: number): Generator<AtesEvent> {
    const first = Math.floor(Date.now() / DAY_MS) - DAYS;
    for (const { id } of this.#employees) yield this.#tell(userCreatedV1, id, { version: 1, name: `Popug ${id.slice(0, 8)}`, email: `${id}@ates.test`, roles: ['EMPLOYEE'], status: 'ACTIVE' }, new Date(first * DAY_MS));
    for (let place = 0; place < DAYS; place += 1) {
      const begins = new Date((first + place) * DAY_MS);
      const [day, from, until] = [begins.toISOString().slice(0, 10), this.#told.events, Math.round((count * (place + 1)) / DAYS)];
      while (this.#told.events < until) {
        const at = new Date(begins.getTime() + Math.floor((DAY_MS * 0.9 * (this.#told.events - from)) / (until - from)));
        yield* this.#task(day, at);
      }
      for (const employee of this.#employees) {
        if (employee.balance > 0) yield this.#entry(employee, { kind: 'PAYOUT', amount: -employee.balance, taskId: null, day, at: new Date(begins.getTime() + DAY_MS - 1), description: `Payout of the balance of ${day}` });
      }
    }
  }

  *#task(day: string, at: Date): Generator<AtesEvent> {
    const [taskId, employee] = [randomUUID(), this.#employees[between(this.#random, 0, this.#employees.length - 1)] as Employee];
    const [number, fee, reward] = [(this.#tasks += 1), between(this.#random, 1_000, 2_000), between(this.#random, 2_000, 4_000)];
    const moment = at.toISOString();
    yield this.#tell(taskCreatedV2, taskId, { version: 1, number, ticket: null, title: 'Feed the parrots of the east wing', description: 'Twice a day', status: 'OPEN', creatorId: employee.id, createdAt: moment }, at);
    yield this.#tell(taskAssignedV1, taskId, { version: 2, assignmentNumber: 1, assigneeId: employee.id, previousAssigneeId: null, businessDay: day, assignedAt: moment }, at);
    yield this.#tell(taskPricedV1, taskId, { version: 1, fee: cents(fee), reward: cents(reward), pricedAt: moment }, at);
    yield this.#entry(employee, { kind: 'FEE', amount: -fee, taskId, day, at, description: `Fee for POPUG-${number} Feed the parrots of the east wing, assignment 1` });
    if (this.#random() > DONE_SHARE) return;
    this.#told.completions += 1;
    yield this.#tell(taskCompletedV1, taskId, { version: 3, assignmentNumber: 1, assigneeId: employee.id, businessDay: day, completedAt: moment }, at);
    yield this.#entry(employee, { kind: 'REWARD', amount: reward, taskId, day, at, description: `Reward for POPUG-${number} Feed the parrots of the east wing` });
  }

  #entry(employee: Employee, posted: { kind: EntryKind; amount: number; taskId: string | null; day: string; at: Date; description: string }): AtesEvent {
    const { kind, amount, taskId, day, at, description } = posted;
    employee.balance += amount;
    this.#told.entries += 1;
    const entry = { id: randomUUID(), kind, amount: cents(amount), balanceAfter: cents(employee.balance), description, taskId, businessDay: day, postedAt: at.toISOString() };
    const data = { version: (employee.version += 1), ownerId: employee.id, entry, ...(kind === 'PAYOUT' && { payoutId: randomUUID() }) };
    return this.#tell(ENTRY_EVENTS[kind], employee.account, data, at);
  }

  #tell(definition: EventDefinition, subject: string, data: object, time: Date): AtesEvent {
    this.#told.events += 1;
    return newEvent(definition, subject, data as never, { time, traceparent: TRACEPARENT }) as unknown as AtesEvent;
  }
}

/** Into the producers' streams as their relays would, many at a time; JetStream takes them in the order in which they are sent. */
export async function publish(nats: NatsConnection, events: Iterable<AtesEvent>): Promise<void> {
  const client = jetstream(nats, { timeout: 30_000 });
  const positions = new Map<string, number>();
  let flying: Promise<unknown>[] = [];
  for (const event of events) {
    const { id, source, dataschema, subject } = event;
    const position = (positions.get(source) ?? 0) + 1;
    positions.set(source, position);
    const published: PublishedEvent = { ...event, sequence: String(position) };
    flying.push(client.publish(subjectOf(`ates${source.replace('/', '.')}.${dataschema}`, subject), JSON.stringify(published), { msgID: id }));
    if (flying.length < IN_FLIGHT) continue;
    await Promise.all(flying);
    flying = [];
  }
  await Promise.all(flying);
}
