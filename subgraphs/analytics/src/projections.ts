import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { addCents, ZERO_CENTS, type Cents } from '@ates/shared-events/cents';

/** By how much the totals of a day change. */
export interface DayChange {
  /** Fees charged less rewards paid, reversals included. */
  readonly companyEarnings: Cents;
  readonly paidOut: Cents;
  readonly paidEmployees: number;
  readonly assigned: number;
  readonly completed: number;
  readonly signIns: number;
  readonly deniedSignIns: number;
  /** How many more employees are below zero at its end than at the end of the day before. */
  readonly redChange: number;
}

type EventNamed<Dataschema> = Extract<PublishedAtesEvent, { dataschema: Dataschema }>;
type PostedEvent = EventNamed<'account.charged.v1' | 'account.rewarded.v1' | 'account.reversed.v1' | 'account.paid.v1'>;

/** One line of the audit log. */
export type AuditEntry = PostedEvent['data']['entry'] & { readonly employeeId: string };

/** A sign-in attempt; its day depends on the business time zone, which the database knows. */
export interface SignInAttempt {
  readonly attemptedAt: string;
  readonly denied: boolean;
}

/** What the streams tell of a task that makes it the most expensive one of its day, in whichever order: its reward, its completion. */
export interface TaskFact {
  readonly taskId: string;
  readonly reward: Cents | null;
  readonly completedDay: string | null;
  readonly completedAt: string | null;
}

/** What a batch of events tells. Nothing in it depends on what was told before: that is for the tables to say. */
export interface Changes {
  /** How many, by business day. */
  readonly assignments: ReadonlyMap<string, number>;
  /** As told: whether one is new, the table knows. */
  readonly entries: readonly AuditEntry[];
  /** Whose balance was carried over, on which days. */
  readonly carriedOver: readonly { readonly employeeId: string; readonly day: string }[];
  readonly attempts: readonly SignInAttempt[];
  /** By task; of what is told twice the first counts. */
  readonly taskFacts: ReadonlyMap<string, TaskFact>;
  /** The last state of each. */
  readonly tasks: ReadonlyMap<string, { readonly number: number; readonly ticket: string | null; readonly title: string }>;
  /** The last name of each. */
  readonly users: ReadonlyMap<string, string>;
  readonly closings: readonly EventNamed<'day.closed.v1'>['data'][];
}

/**
 * What events mean for the read model. What they tell of is summed, kept once or compared, never counted from where it stands: so the end
 * result depends neither on the order between streams and partitions, nor on where batches begin.
 */
export function project(events: readonly PublishedAtesEvent[]): Changes {
  const changes = nothing();
  for (const event of events) {
    if (isUserState(event)) changes.users.set(event.subject, event.data.name);
    else projectEvent(changes, event);
  }
  return changes;
}

function projectEvent(changes: ReturnType<typeof nothing>, event: Exclude<PublishedAtesEvent, { data: { roles: unknown } }>): void {
  switch (event.dataschema) {
    case 'task.created.v2':
    case 'task.updated.v1':
      changes.tasks.set(event.subject, { number: event.data.number, ticket: event.data.ticket, title: event.data.title });
      break;
    case 'task.assigned.v1':
      changes.assignments.set(event.data.businessDay, (changes.assignments.get(event.data.businessDay) ?? 0) + 1);
      break;
    case 'task.completed.v1':
      tellOfTask(changes.taskFacts, event.subject, { completedDay: event.data.businessDay, completedAt: event.data.completedAt });
      break;
    case 'task.priced.v1':
      tellOfTask(changes.taskFacts, event.subject, { reward: event.data.reward });
      break;
    case 'account.charged.v1':
    case 'account.rewarded.v1':
    case 'account.reversed.v1':
    case 'account.paid.v1':
      changes.entries.push({ ...event.data.entry, employeeId: event.data.ownerId });
      break;
    case 'account.carried_over.v1':
      changes.carriedOver.push({ employeeId: event.data.ownerId, day: event.data.businessDay });
      break;
    case 'user.authenticated.v1':
    case 'user.denied.v1':
      changes.attempts.push({ attemptedAt: event.data.attemptedAt, denied: event.dataschema === 'user.denied.v1' });
      break;
    case 'day.closed.v1':
      changes.closings.push(event.data);
      break;
    case 'account.balance_changed.v1':
    case 'task.deleted.v1':
    case 'tasks.shuffled.v1':
    case 'tasks.day_ended.v1':
    case 'day.close_requested.v1':
    case 'day.opened.v1':
      break;
    default:
      event satisfies never;
  }
}

function tellOfTask(facts: Map<string, TaskFact>, taskId: string, told: Partial<TaskFact>): void {
  const known = facts.get(taskId);
  facts.set(taskId, {
    taskId,
    reward: known?.reward ?? told.reward ?? null,
    completedDay: known?.completedDay ?? told.completedDay ?? null,
    completedAt: known?.completedAt ?? told.completedAt ?? null,
  });
}

/** Everybody whom a batch tells of, with the earliest day on which it does. */
export function employeesTold({ entries, carriedOver }: Changes): ReadonlyMap<string, string> {
  const first = new Map<string, string>();
  const tell = (employeeId: string, day: string): void => {
    const known = first.get(employeeId);
    if (known === undefined || day < known) first.set(employeeId, day);
  };
  for (const { employeeId, businessDay } of entries) tell(employeeId, businessDay);
  for (const { employeeId, day } of carriedOver) tell(employeeId, day);
  return first;
}

/** The changes of days from several places, summed by day; days whose sums are all zero are left out. */
export function sumOfDays(parts: Iterable<readonly [day: string, change: Partial<DayChange>]>): ReadonlyMap<string, DayChange> {
  const days = new Map<string, DayChange>();
  for (const [day, change] of parts) {
    const before = days.get(day);
    days.set(day, {
      companyEarnings: addCents(before?.companyEarnings ?? ZERO_CENTS, change.companyEarnings ?? ZERO_CENTS),
      paidOut: addCents(before?.paidOut ?? ZERO_CENTS, change.paidOut ?? ZERO_CENTS),
      paidEmployees: (before?.paidEmployees ?? 0) + (change.paidEmployees ?? 0),
      assigned: (before?.assigned ?? 0) + (change.assigned ?? 0),
      completed: (before?.completed ?? 0) + (change.completed ?? 0),
      signIns: (before?.signIns ?? 0) + (change.signIns ?? 0),
      deniedSignIns: (before?.deniedSignIns ?? 0) + (change.deniedSignIns ?? 0),
      redChange: (before?.redChange ?? 0) + (change.redChange ?? 0),
    });
  }
  return new Map([...days].filter(([, change]) => Object.values(change).some((amount) => amount !== 0)));
}

/** The first day of a day's month. */
export function monthOf(day: string): string {
  return `${day.slice(0, 7)}-01`;
}

function nothing() {
  return {
    assignments: new Map<string, number>(),
    entries: [] as AuditEntry[],
    carriedOver: [] as Changes['carriedOver'][number][],
    attempts: [] as SignInAttempt[],
    taskFacts: new Map<string, TaskFact>(),
    tasks: new Map<string, { number: number; ticket: string | null; title: string }>(),
    users: new Map<string, string>(),
    closings: [] as Changes['closings'][number][],
  };
}
