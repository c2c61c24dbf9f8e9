import { negateCents } from '@ates/shared-events/cents';
import { between, oneOf, type Random } from '../chaos/random.ts';
import { drawPrice, type Price } from '../subgraphs/accounting/src/pricing.ts';

/** So many people and years there are in the history. */
export const EMPLOYEES = 2_000;
/** The first employee's share of all entries but the company's: of ten million 200,000. */
const LARGEST_SHARE = 0.04;
const YEARS = 3;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const REWARD_SHARE = 0.43;
const ASSIGNED_AGAIN_SHARE = 0.15;

/** A posting with its two entries: the employee's and the other one, which is the company's or that of the money that left. */
export interface PostingRow {
  readonly kind: 'FEE' | 'REWARD' | 'PAYOUT';
  readonly employee: number;
  /** 0 for payouts. */
  readonly task: number;
  readonly assignment: number;
  readonly amount: number;
  readonly employeeNumber: number;
  readonly employeeBalance: number;
  readonly otherNumber: number;
  readonly otherBalance: number;
  /** `YYYY-MM-DD` */
  readonly day: string;
  readonly postedAt: Date;
}

/** A closed business day. */
export interface DayRow {
  readonly day: string;
  assignments: number;
  completions: number;
  earnings: number;
  paidOut: number;
  paidEmployees: number;
  carriedOver: number;
  inTheRed: number;
  readonly closedAt: Date;
}

interface Account {
  balance: number;
  entries: number;
}

interface OpenTask {
  readonly number: number;
  readonly price: Price;
  assignments: number;
}

/** Years of fees, rewards and daily payouts as the service would have posted them, by chance but the same for the same chance. */
export class LedgerYears {
  /** Filled as the postings are drawn. */
  readonly days: DayRow[] = [];
  readonly company: Account = { balance: 0, entries: 0 };
  readonly payouts: Account = { balance: 0, entries: 0 };
  readonly employees: readonly Account[] = Array.from({ length: EMPLOYEES }, () => ({ balance: 0, entries: 0 }));
  readonly #random: Random;
  readonly #postings: number;
  readonly #dates: readonly Date[];
  readonly #open: readonly OpenTask[][] = Array.from({ length: EMPLOYEES }, () => []);
  #positive = 0;
  #posted = 0;
  #tasks = 0;

  constructor(random: Random, postings: number, endsAt: Date) {
    this.#random = random;
    this.#postings = postings;
    const count = Math.round(YEARS * 365.25);
    const last = Math.floor(endsAt.getTime() / DAY_MS) - 1;
    this.#dates = Array.from({ length: count }, (_, place) => new Date((last - count + 1 + place) * DAY_MS));
  }

  /** All of them in the order in which they are posted. */
  *chunks(size: number): Generator<PostingRow[]> {
    let chunk: PostingRow[] = [];
    for (const row of this.#rows()) {
      chunk.push(row);
      if (chunk.length < size) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  }

  *#rows(): Generator<PostingRow> {
    const working = this.#dates.filter(isWorkday).length;
    let worked = 0;
    for (const date of this.#dates) {
      const day: DayRow = { day: date.toISOString().slice(0, 10), assignments: 0, completions: 0, earnings: 0, paidOut: 0, paidEmployees: 0, carriedOver: 0, inTheRed: 0, closedAt: new Date(date.getTime() + DAY_MS + 60_000) };
      // Nobody works at weekends, but these days are closed like all the others.
      if (isWorkday(date)) yield* this.#work(day, date, Math.round((this.#postings * (worked += 1)) / working));
      yield* this.#close(day);
      this.days.push(day);
    }
  }

  /** Fees and rewards between eight and eight, until they and the payouts that they lead to are so many since the beginning. */
  *#work(day: DayRow, date: Date, until: number): Generator<PostingRow> {
    const begun = this.#posted + this.#positive;
    while (this.#posted + this.#positive < until) {
      const postedAt = new Date(date.getTime() + 8 * HOUR_MS + Math.floor((12 * HOUR_MS * (this.#posted + this.#positive - begun)) / (until - begun)));
      const employee = this.#random() < LARGEST_SHARE ? 0 : between(this.#random, 1, EMPLOYEES - 1);
      const open = this.#open[employee] as OpenTask[];
      const isReward = open.length > 0 && this.#random() < REWARD_SHARE;
      const task = isReward ? takeOne(this.#random, open) : this.#assign(open);
      const amount = isReward ? task.price.reward : task.price.fee;
      day[isReward ? 'completions' : 'assignments'] += 1;
      day.earnings += isReward ? negateCents(amount) : amount;
      yield this.#post({ kind: isReward ? 'REWARD' : 'FEE', employee, task: task.number, assignment: task.assignments, amount, day: day.day, postedAt });
    }
  }

  /** A new task, or one that somebody else had. */
  #assign(open: OpenTask[]): OpenTask {
    const others = oneOf(this.#random, this.#open);
    const isAgain = others.length > 0 && this.#random() < ASSIGNED_AGAIN_SHARE;
    const task: OpenTask = isAgain ? takeOne(this.#random, others) : { number: (this.#tasks += 1), price: drawPrice((min, max) => between(this.#random, min, max)), assignments: 0 };
    task.assignments += 1;
    open.push(task);
    return task;
  }

  *#close(day: DayRow): Generator<PostingRow> {
    for (const [employee, { balance }] of this.employees.entries()) {
      if (balance <= 0) {
        day.carriedOver += balance;
        if (balance < 0) day.inTheRed += 1;
        continue;
      }
      day.paidOut += balance;
      day.paidEmployees += 1;
      yield this.#post({ kind: 'PAYOUT', employee, task: 0, assignment: 0, amount: balance, day: day.day, postedAt: day.closedAt });
    }
  }

  #post(posting: Omit<PostingRow, `${'employee' | 'other'}${'Number' | 'Balance'}`>): PostingRow {
    const mine = this.employees[posting.employee] as Account;
    const other = posting.kind === 'PAYOUT' ? this.payouts : this.company;
    const amount = posting.kind === 'REWARD' ? posting.amount : -posting.amount;
    this.#positive += Number(mine.balance + amount > 0) - Number(mine.balance > 0);
    mine.balance += amount;
    mine.entries += 1;
    other.balance -= amount;
    other.entries += 1;
    this.#posted += 1;
    return { ...posting, employeeNumber: mine.entries, employeeBalance: mine.balance, otherNumber: other.entries, otherBalance: other.balance };
  }
}

function isWorkday(date: Date): boolean {
  return date.getUTCDay() !== 0 && date.getUTCDay() !== 6;
}

function takeOne(random: Random, tasks: OpenTask[]): OpenTask {
  const place = Math.floor(random() * tasks.length);
  const task = tasks[place] as OpenTask;
  tasks[place] = tasks.at(-1) as OpenTask;
  tasks.pop();
  return task;
}
