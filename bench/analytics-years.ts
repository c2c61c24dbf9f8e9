import { createHash } from 'node:crypto';
import { between, oneOf, type Random } from '../chaos/random.ts';

/** What the books of some years are like. */
export interface YearsOptions {
  readonly random: Random;
  /** About so many, payouts included. */
  readonly entries: number;
  readonly employees: number;
  /** So many calendar days, up to yesterday. */
  readonly days: number;
  readonly endsAt: Date;
}

/** The entries of a calendar month, as lines for COPY: day, posted_at, entry_id, kind, amount, description, employee_id, task_id. */
export interface Month {
  readonly text: string;
  readonly entries: number;
}

/** The share of entries that the first employee has. */
const LARGEST_SHARE = 0.04;
const REWARD_SHARE = 0.43;
const REVERSAL_SHARE = 0.01;
const ASSIGNED_AGAIN_SHARE = 0.15;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const TITLES = ['Feed the parrots of the east wing', 'Polish the perches before the board meets', 'Count the seeds in the cellar', 'Teach the newcomers the company song', 'Sweep the feathers off the stairs', 'Mend the swing in the lobby', 'Bring the mail to the tree houses'];

interface Task {
  readonly number: number;
  assignments: number;
}

/** What follows from a task's number, in SQL; as `priceOf` and the others here. `n` is the number's column. */
export const TASK_SQL = {
  id: (n: string) => `('01900000-0000-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`,
  reward: (n: string) => `2000 + ${n}::bigint * 7919 % 2001`,
  title: (n: string) => `(array['${TITLES.join("', '")}'])[1 + ${n} % ${TITLES.length}]`,
} as const;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
const taskId = (number: number): string => `01900000-0000-7000-8000-${hex(number, 12)}`;
const priceOf = (number: number) => ({ fee: 1_000 + ((number * 4_729) % 1_001), reward: 2_000 + ((number * 7_919) % 2_001) });

export function employeeId(number: number): string {
  const digits = createHash('md5').update(`employee ${number}`).digest('hex');
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20)}`;
}

/** Years of fees, rewards, reversals and daily payouts as Accounting would have posted them, by chance but the same for the same chance. */
export class AuditYears {
  /** Grow as the months are drawn. */
  tasks = 0;
  posted = 0;
  readonly dates: readonly Date[];
  readonly #options: YearsOptions;
  readonly #random: Random;
  readonly #ids: readonly string[];
  readonly #balances: number[];
  readonly #open: readonly Task[][];
  #positive = 0;
  #lines: string[] = [];

  constructor(options: YearsOptions) {
    const { random, employees, days, endsAt } = options;
    this.#options = options;
    this.#random = random;
    this.#ids = Array.from({ length: employees }, (_, number) => employeeId(number));
    this.#balances = this.#ids.map(() => 0);
    this.#open = this.#ids.map(() => []);
    const last = Math.floor(endsAt.getTime() / DAY_MS) - 1;
    this.dates = Array.from({ length: days }, (_, place) => new Date((last - days + 1 + place) * DAY_MS));
  }

  *months(): Generator<Month> {
    const working = this.dates.filter(isWorkday).length;
    let worked = 0;
    for (const [place, date] of this.dates.entries()) {
      const day = date.toISOString().slice(0, 10);
      // Nobody works at weekends, but these days are closed like all the others.
      if (isWorkday(date)) this.#work(day, date, Math.round((this.#options.entries * (worked += 1)) / working));
      this.#close(day, date);
      const next = this.dates[place + 1];
      if (next !== undefined && next.getUTCMonth() === date.getUTCMonth()) continue;
      yield { text: this.#lines.join(''), entries: this.#lines.length };
      this.#lines = [];
    }
  }

  /** Between eight and eight, until these and the payouts that they lead to are so many since the beginning. */
  #work(day: string, date: Date, until: number): void {
    const begun = this.posted + this.#positive;
    for (let now = begun; now < until; now = this.posted + this.#positive) {
      const at = date.getTime() + 8 * HOUR_MS + Math.floor((12 * HOUR_MS * (now - begun)) / (until - begun));
      const employee = this.#random() < LARGEST_SHARE ? 0 : between(this.#random, 0, this.#ids.length - 1);
      const open = this.#open[employee] as Task[];
      const chance = this.#random();
      const isEnd = open.length > 0 && chance < REWARD_SHARE + REVERSAL_SHARE;
      const task = isEnd ? takeOne(this.#random, open) : this.#assign(open);
      const { fee, reward } = priceOf(task.number);
      const label = `POPUG-${task.number} ${TITLES[task.number % TITLES.length]}`;
      const posted = { day, at, employee, task: task.number };
      if (!isEnd) this.#post({ ...posted, kind: 'FEE', amount: -fee, description: `Fee for ${label}, assignment ${task.assignments}` });
      else if (chance < REWARD_SHARE) this.#post({ ...posted, kind: 'REWARD', amount: reward, description: `Reward for ${label}` });
      else this.#post({ ...posted, kind: 'REVERSAL', amount: fee, description: `Fee given back, deleted: ${label}` });
    }
  }

  /** A new task, or one that somebody else had. */
  #assign(open: Task[]): Task {
    const others = oneOf(this.#random, this.#open);
    const isAgain = others.length > 0 && this.#random() < ASSIGNED_AGAIN_SHARE;
    const task: Task = isAgain ? takeOne(this.#random, others) : { number: (this.tasks += 1), assignments: 0 };
    task.assignments += 1;
    open.push(task);
    return task;
  }

  #close(day: string, date: Date): void {
    const at = date.getTime() + DAY_MS + 60_000;
    for (const [employee, balance] of this.#balances.entries()) {
      if (balance > 0) this.#post({ day, at, employee, task: null, kind: 'PAYOUT', amount: -balance, description: `Payout of the balance of ${day}` });
    }
  }

  #post(entry: { day: string; at: number; employee: number; task: number | null; kind: string; amount: number; description: string }): void {
    const { day, at, employee, task, kind, amount, description } = entry;
    const before = this.#balances[employee] as number;
    this.#balances[employee] = before + amount;
    this.#positive += Number(before + amount > 0) - Number(before > 0);
    this.posted += 1;
    const moment = hex(at, 12);
    const id = `${moment.slice(0, 8)}-${moment.slice(8)}-7${hex(this.posted % 4_096, 3)}-8${hex(Math.floor(this.#random() * 4_096), 3)}-${hex(this.posted, 12)}`;
    this.#lines.push(`${day}\t${new Date(at).toISOString()}\t${id}\t${kind}\t${amount}\t${description}\t${this.#ids[employee]}\t${task === null ? '\\N' : taskId(task)}\n`);
  }
}

function isWorkday(date: Date): boolean {
  return date.getUTCDay() !== 0 && date.getUTCDay() !== 6;
}

function takeOne(random: Random, tasks: Task[]): Task {
  const place = Math.floor(random() * tasks.length);
  const task = tasks[place] as Task;
  tasks[place] = tasks.at(-1) as Task;
  tasks.pop();
  return task;
}
