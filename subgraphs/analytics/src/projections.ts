import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { addCents, negateCents, ZERO_CENTS, type Cents } from '@ates/shared-events/cents';

/** How the totals of a day change. */
export interface DayChange {
  readonly companyEarnings: Cents;
  readonly assigned: number;
  readonly completed: number;
}

type PostedEvent = Extract<PublishedAtesEvent, { dataschema: 'account.charged.v1' | 'account.rewarded.v1' | 'account.reversed.v1' | 'account.paid.v1' }>;

/** One line of the audit log. */
export type AuditEntry = PostedEvent['data']['entry'] & { readonly employeeId: string };

/** A sign-in attempt; its day depends on the business time zone, which the database knows. */
export interface SignInAttempt {
  readonly attemptedAt: string;
  readonly denied: boolean;
}

/** Everything that a batch of events changes in the read model: sums, and rows that are new. */
export interface Changes {
  readonly days: ReadonlyMap<string, DayChange>;
  readonly auditEntries: readonly AuditEntry[];
  readonly attempts: readonly SignInAttempt[];
  readonly tasks: readonly { readonly taskId: string; readonly number: number; readonly ticket: string | null; readonly title: string }[];
  readonly rewards: readonly { readonly taskId: string; readonly reward: Cents }[];
  readonly completions: readonly { readonly taskId: string; readonly day: string; readonly completedAt: string }[];
}

/**
 * What events mean for the read model. Every change is a sum or a new row, so the end result does not depend on the order
 * between streams or on where batches begin.
 */
export function project(events: readonly PublishedAtesEvent[]): Changes {
  const days = new Map<string, DayChange>();
  const change = (day: string, by: Partial<DayChange>): void => {
    const before = days.get(day) ?? { companyEarnings: ZERO_CENTS, assigned: 0, completed: 0 };
    days.set(day, {
      companyEarnings: addCents(before.companyEarnings, by.companyEarnings ?? ZERO_CENTS),
      assigned: before.assigned + (by.assigned ?? 0),
      completed: before.completed + (by.completed ?? 0),
    });
  };
  const changes = { days, ...noRows() };
  for (const event of events) {
    if (isUserState(event)) continue;
    switch (event.dataschema) {
      case 'task.created.v2':
      case 'task.updated.v1':
        changes.tasks.push({ taskId: event.subject, number: event.data.number, ticket: event.data.ticket, title: event.data.title });
        break;
      case 'task.assigned.v1':
        change(event.data.businessDay, { assigned: 1 });
        break;
      case 'task.completed.v1':
        change(event.data.businessDay, { completed: 1 });
        changes.completions.push({ taskId: event.subject, day: event.data.businessDay, completedAt: event.data.completedAt });
        break;
      case 'task.priced.v1':
        changes.rewards.push({ taskId: event.subject, reward: event.data.reward });
        break;
      case 'account.charged.v1':
      case 'account.rewarded.v1':
      case 'account.reversed.v1':
        // What an employee pays, the company earns.
        change(event.data.entry.businessDay, { companyEarnings: negateCents(event.data.entry.amount) });
        changes.auditEntries.push({ ...event.data.entry, employeeId: event.data.ownerId });
        break;
      case 'account.paid.v1':
        // What the company owed before; it is no cost of the day.
        changes.auditEntries.push({ ...event.data.entry, employeeId: event.data.ownerId });
        break;
      case 'user.authenticated.v1':
      case 'user.denied.v1':
        changes.attempts.push({ attemptedAt: event.data.attemptedAt, denied: event.dataschema === 'user.denied.v1' });
        break;
      case 'account.balance_changed.v1':
      case 'account.carried_over.v1':
      case 'task.deleted.v1':
      case 'tasks.shuffled.v1':
      case 'tasks.day_ended.v1':
      case 'day.close_requested.v1':
      case 'day.closed.v1':
      case 'day.opened.v1':
        break;
      default:
        event satisfies never;
    }
  }
  return changes;
}

function noRows() {
  return {
    auditEntries: [] as AuditEntry[],
    attempts: [] as SignInAttempt[],
    tasks: [] as Changes['tasks'][number][],
    rewards: [] as Changes['rewards'][number][],
    completions: [] as Changes['completions'][number][],
  };
}
