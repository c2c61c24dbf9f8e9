import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { negateCents, ZERO_CENTS, type Cents } from '@ates/shared-events/cents';
import { project, sumOfDays, type AuditEntry, type DayChange } from '../subgraphs/analytics/src/projections.ts';
import { applyPostings, feeCause, feeFor, rewardCause, rewardFor, type AccountState, type Posting, type TaskLabel } from '../subgraphs/accounting/src/ledger.ts';
import { drawPrice, type Price } from '../subgraphs/accounting/src/pricing.ts';

/** What a service has made of events: Analytics' read model and Accounting's ledger. */
export interface Effects {
  /** The events that took effect, in their order. */
  readonly applied: PublishedAtesEvent[];
  readonly days: Map<string, DayChange>;
  readonly auditEntries: Map<string, AuditEntry>;
  readonly attempts: { granted: number; denied: number };
  readonly tasks: Map<string, string>;
  readonly rewards: Map<string, Cents>;
  readonly completions: Map<string, string>;
  readonly causes: Set<string>;
  readonly accounts: Map<string, AccountState>;
  company: AccountState;
  entrySum: number;
}

const COMPANY = 'company';

export function noEffects(): Effects {
  return {
    applied: [],
    days: new Map(),
    auditEntries: new Map(),
    attempts: { granted: 0, denied: 0 },
    tasks: new Map(),
    rewards: new Map(),
    completions: new Map(),
    causes: new Set(),
    accounts: new Map(),
    company: { id: COMPANY, balance: ZERO_CENTS, entryCount: 0 },
    entrySum: 0,
  };
}

export function copyEffects(effects: Effects): Effects {
  return {
    applied: [...effects.applied],
    days: new Map(effects.days),
    auditEntries: new Map(effects.auditEntries),
    attempts: { ...effects.attempts },
    tasks: new Map(effects.tasks),
    rewards: new Map(effects.rewards),
    completions: new Map(effects.completions),
    causes: new Set(effects.causes),
    accounts: new Map(effects.accounts),
    company: effects.company,
    entrySum: effects.entrySum,
  };
}

/** Applies a batch as the services do, by their own rules. */
export function applyEvents(effects: Effects, events: readonly PublishedAtesEvent[]): void {
  effects.applied.push(...events);
  applyToReadModel(effects, events);
  applyToLedger(effects, events);
}

/** As Analytics' statements do: what is new is added to sums, rows are inserted unless they are there. */
function applyToReadModel(effects: Effects, events: readonly PublishedAtesEvent[]): void {
  const changes = project(events);
  const parts: [string, Partial<DayChange>][] = [...effects.days, ...[...changes.assignments].map(([day, assigned]): [string, Partial<DayChange>] => [day, { assigned }])];
  for (const entry of changes.entries) {
    if (!effects.auditEntries.has(entry.id) && entry.kind !== 'PAYOUT') parts.push([entry.businessDay, { companyEarnings: negateCents(entry.amount) }]);
    effects.auditEntries.set(entry.id, entry);
  }
  for (const { taskId, reward, completedDay } of changes.taskFacts.values()) {
    if (completedDay !== null && !effects.completions.has(taskId)) parts.push([completedDay, { completed: 1 }]);
    if (completedDay !== null) effects.completions.set(taskId, completedDay);
    if (reward !== null) effects.rewards.set(taskId, reward);
  }
  effects.days.clear();
  for (const [day, change] of sumOfDays(parts)) effects.days.set(day, change);
  for (const { denied } of changes.attempts) effects.attempts[denied ? 'denied' : 'granted'] += 1;
  for (const [taskId, { title }] of changes.tasks) effects.tasks.set(taskId, title);
}

/** As Accounting does: each cause is posted once. */
function applyToLedger(effects: Effects, events: readonly PublishedAtesEvent[]): void {
  const postings = events.flatMap((event) => postingFor(event, effects.tasks)).filter(({ cause }) => !effects.causes.has(cause) && effects.causes.add(cause));
  for (const { employeeId } of postings) if (!effects.accounts.has(employeeId)) effects.accounts.set(employeeId, { id: `account of ${employeeId}`, balance: ZERO_CENTS, entryCount: 0 });
  const { entries, accountsAfter } = applyPostings(postings, effects.accounts, effects.company);
  const after = new Map(accountsAfter.map((account) => [account.id, account]));
  for (const [employeeId, { id }] of effects.accounts) effects.accounts.set(employeeId, after.get(id) ?? (effects.accounts.get(employeeId) as AccountState));
  effects.company = after.get(COMPANY) ?? effects.company;
  for (const { amount } of entries) effects.entrySum += amount;
}

function postingFor(event: PublishedAtesEvent, titles: ReadonlyMap<string, string>): Posting[] {
  if (event.dataschema !== 'task.assigned.v1' && event.dataschema !== 'task.completed.v1') return [];
  const { assignmentNumber, assigneeId: employeeId, businessDay } = event.data;
  const assignment = { taskId: event.subject, assignmentNumber, employeeId, businessDay, lateFor: null };
  const title = titles.get(event.subject);
  const label: TaskLabel | undefined = title === undefined ? undefined : { number: 1, ticket: null, title };
  const posting = event.dataschema === 'task.assigned.v1' ? feeFor(assignment, priceOf(event.subject), label) : rewardFor(assignment, priceOf(event.subject), label);
  return [{ ...posting, id: event.id, traceparent: event.traceparent }];
}

/** A task's price by its id, so that it does not depend on who is heard of first. */
function priceOf(taskId: string): Price {
  const seed = Number.parseInt(taskId.slice(-6), 16);
  return drawPrice((min, max) => min + (seed % (max - min + 1)));
}

/** What the events of a history come to, worked out by hand from each of them: no batches, no service's code. */
export function expectedTotals(events: readonly PublishedAtesEvent[]): Record<string, number> {
  const totals = new Map<string, number>();
  const causes = new Set<string>();
  const add = (name: string, amount: number): void => void totals.set(name, (totals.get(name) ?? 0) + amount);
  for (const event of events) {
    if (event.dataschema === 'task.assigned.v1' || event.dataschema === 'task.completed.v1') {
      const isFee = event.dataschema === 'task.assigned.v1';
      add(`${event.data.businessDay} ${isFee ? 'assigned' : 'completed'}`, 1);
      const cause = isFee ? feeCause({ taskId: event.subject, ...event.data }) : rewardCause({ taskId: event.subject });
      if (causes.has(cause)) continue;
      causes.add(cause);
      const { fee, reward } = priceOf(event.subject);
      add(`owes ${event.data.assigneeId}`, isFee ? 0 - fee : reward);
      add('owes company', isFee ? fee : 0 - reward);
    } else if (event.dataschema === 'account.charged.v1' || event.dataschema === 'account.rewarded.v1') {
      add(`${event.data.entry.businessDay} earned`, 0 - event.data.entry.amount);
      add(`entry ${event.data.entry.id}`, event.data.entry.amount);
    } else add(event.dataschema, 1);
  }
  return withoutZeros(totals);
}

/** The same figures, of what the service has. */
export function totalsOf(effects: Effects): Record<string, number> {
  const totals = new Map<string, number>([
    ['owes company', effects.company.balance],
    ['user.authenticated.v1', effects.attempts.granted],
    ['user.denied.v1', effects.attempts.denied],
    ['task.created.v2', effects.tasks.size],
    ['task.priced.v1', effects.rewards.size],
  ]);
  for (const [employeeId, { balance }] of effects.accounts) totals.set(`owes ${employeeId}`, balance);
  for (const [day, { assigned, completed, companyEarnings }] of effects.days) {
    totals.set(`${day} assigned`, assigned).set(`${day} completed`, completed).set(`${day} earned`, companyEarnings);
  }
  for (const { id, amount } of effects.auditEntries.values()) totals.set(`entry ${id}`, amount);
  return withoutZeros(totals);
}

/** Of these types nothing is kept. */
const WITHOUT_EFFECT = ['user.created.v1', 'account.balance_changed.v1', 'tasks.day_ended.v1'];

function withoutZeros(totals: ReadonlyMap<string, number>): Record<string, number> {
  const kept = [...totals].filter(([name, total]) => total !== 0 && !WITHOUT_EFFECT.includes(name));
  return Object.fromEntries(kept.sort(([one], [other]) => (one < other ? -1 : 1)));
}
