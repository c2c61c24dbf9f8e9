import type { EntryKind } from '@ates/shared-events/accounting-events';
import { addCents, negateCents, type Cents } from '@ates/shared-events/cents';
import type { Price } from './pricing.ts';

/** Who pays whom: an employee the company, or the company an employee. */
export type Payer = 'EMPLOYEE' | 'COMPANY';

/** What a reversal takes back, and why. */
export interface Reversal {
  readonly postingId: string;
  /** The employee's entry of that posting; null when it is posted together with its reversal. */
  readonly entryId: string | null;
  readonly reason: string;
}

/** What is to be posted between an employee and the company. */
export interface Posting {
  readonly id: string;
  readonly kind: Extract<EntryKind, 'FEE' | 'REWARD' | 'REVERSAL'>;
  readonly payer: Payer;
  /** Names the one thing that it is posted for; the same cause is posted once, whatever its events' ids are. */
  readonly cause: string;
  readonly employeeId: string;
  /** Positive. */
  readonly amount: Cents;
  readonly taskId: string;
  readonly businessDay: string;
  /** The day that it belongs to, if that was closed when it came; else null. */
  readonly lateFor: string | null;
  readonly description: string;
  readonly traceparent: string;
  /** What it takes back; null for all that are no reversals. */
  readonly reversal: Reversal | null;
}

/** The part of an account that posting changes. */
export interface AccountState {
  readonly id: string;
  readonly balance: Cents;
  readonly entryCount: number;
}

/** One side of a posting in one account. */
export interface Entry {
  readonly postingId: string;
  /** −1 where the money comes from, 1 where it goes to. */
  readonly side: -1 | 1;
  readonly accountId: string;
  readonly number: number;
  readonly amount: Cents;
  readonly balanceAfter: Cents;
  readonly businessDay: string;
}

/** The day that something is posted to. */
export interface PostingDay {
  /** The business day that it counts for, `YYYY-MM-DD`. */
  readonly businessDay: string;
  /** The day that Tasks stamped it with, if that is closed; else null. */
  readonly lateFor: string | null;
}

/** What the task's history calls for: an assignment, or the completion that ended it. */
export interface Assignment extends PostingDay {
  readonly taskId: string;
  readonly assignmentNumber: number;
  readonly employeeId: string;
}

/** The text of a task as far as it is known here. */
export interface TaskLabel {
  readonly number: number;
  readonly ticket: string | null;
  readonly title: string;
}

type NewPosting = Omit<Posting, 'id' | 'traceparent'>;

/** What a fee is posted for: this assignment. */
export function feeCause({ taskId, assignmentNumber }: Pick<Assignment, 'taskId' | 'assignmentNumber'>): string {
  return `fee/${taskId}/${assignmentNumber}`;
}

/** What a reward is posted for: the completion, of which a task has one. */
export function rewardCause({ taskId }: Pick<Assignment, 'taskId'>): string {
  return `reward/${taskId}`;
}

/** The fee for an assignment: from the employee to the company. */
export function feeFor(assignment: Assignment, { fee }: Price, task: TaskLabel | undefined): NewPosting {
  const description = `Fee for ${labelOf(task)}, assignment ${assignment.assignmentNumber}${lateness(assignment)}`;
  return { ...posted(assignment), kind: 'FEE', payer: 'EMPLOYEE', cause: feeCause(assignment), amount: fee, description };
}

/** The reward for a completion: from the company to the employee. */
export function rewardFor(assignment: Assignment, { reward }: Price, task: TaskLabel | undefined): NewPosting {
  return { ...posted(assignment), kind: 'REWARD', payer: 'COMPANY', cause: rewardCause(assignment), amount: reward, description: `Reward for ${labelOf(task)}${lateness(assignment)}` };
}

/** What is posted to take back what was posted for `cause`. */
export function reversalCause(cause: string): string {
  return `reversal/${cause}`;
}

/** A posting as a reversal has to know it. */
export type Reversible = Pick<Posting, 'id' | 'cause' | 'payer' | 'employeeId' | 'amount' | 'taskId' | 'description'> & { readonly entryId: string | null };

/** Takes back a posting, whole: the same amount the other way, on the day on which it is taken back. */
export function reversalOf(original: Reversible, { businessDay, lateFor, reason }: PostingDay & { readonly reason: string }): NewPosting {
  const { id: postingId, entryId, cause, payer, employeeId, amount, taskId, description } = original;
  return {
    kind: 'REVERSAL',
    payer: payer === 'EMPLOYEE' ? 'COMPANY' : 'EMPLOYEE',
    cause: reversalCause(cause),
    employeeId,
    amount,
    taskId,
    businessDay,
    lateFor,
    description: `Reversal of ${description}: ${reason}${lateness({ lateFor })}`,
    reversal: { postingId, entryId, reason },
  };
}

/**
 * The entries of postings, in their order: each moves its amount from one account to the other, so that all entries
 * together sum to zero.
 * @param accounts the employees' accounts by owner, and the company's; not changed
 * @returns the entries and every touched account as it is after them
 */
export function applyPostings(
  postings: readonly Posting[],
  accounts: ReadonlyMap<string, AccountState>,
  company: AccountState,
): { readonly entries: readonly Entry[]; readonly accountsAfter: readonly AccountState[] } {
  const after = new Map<string, AccountState>([[company.id, company]]);
  const entries: Entry[] = [];
  const move = (posting: Posting, accountId: string, side: -1 | 1): void => {
    const before = after.get(accountId) as AccountState;
    const amount = side === 1 ? posting.amount : negateCents(posting.amount);
    const moved = { id: accountId, balance: addCents(before.balance, amount), entryCount: before.entryCount + 1 };
    after.set(accountId, moved);
    entries.push({ postingId: posting.id, side, accountId, number: moved.entryCount, amount, balanceAfter: moved.balance, businessDay: posting.businessDay });
  };
  for (const posting of postings) {
    const employee = accounts.get(posting.employeeId);
    if (employee === undefined) throw new Error(`Employee ${posting.employeeId} has no account to post to`);
    if (!after.has(employee.id)) after.set(employee.id, employee);
    const { from, to } = sidesOf(posting, employee, company);
    move(posting, from, -1);
    move(posting, to, 1);
  }
  return { entries, accountsAfter: [...after.values()] };
}

/** The ids of the accounts that a posting takes from and gives to. */
export function sidesOf({ payer }: Pick<Posting, 'payer'>, employee: Pick<AccountState, 'id'>, company: Pick<AccountState, 'id'>): { readonly from: string; readonly to: string } {
  return payer === 'EMPLOYEE' ? { from: employee.id, to: company.id } : { from: company.id, to: employee.id };
}

function posted({ taskId, employeeId, businessDay, lateFor }: Assignment) {
  return { taskId, employeeId, businessDay, lateFor, reversal: null };
}

function lateness({ lateFor }: Pick<PostingDay, 'lateFor'>): string {
  return lateFor === null ? '' : ` (late: of ${lateFor})`;
}

function labelOf(task: TaskLabel | undefined): string {
  if (task === undefined) return 'a task not described here yet';
  return `POPUG-${task.number} ${task.title}`;
}
