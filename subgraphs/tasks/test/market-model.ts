import { expect } from '@jest/globals';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import { isUserState } from '@ates/shared-events/catalog';
import type { AsyncCommand } from 'fast-check';
import type { RandomIndex } from '../src/task.ts';
import { dateOf, HOUR_MS, idOf, perform, startOf, summaryOf, taskAt, TITLES, userId, Users, type AboutTask, type Action, type KnownTask, type Outcome, type World } from './market-actions.ts';
import { NOTHING_YET, type AssignmentRecord, type DayRecord, type MarketRecords, type TaskRecord, type UserRecord } from './market-invariants.ts';

/** So many days are known ahead of today. */
const DAYS_AHEAD = 2;

type Of<Does extends Action['does']> = Action & { readonly does: Does };

/**
 * The market as its rules say, without storage and with one thing after the other. Draws its chances in the same order as the
 * real one does, so that from the same seed both give every task to the same popug.
 */
export class Market {
  readonly #tasks: TaskRecord[] = [];
  readonly #assignments: AssignmentRecord[] = [];
  readonly #days: DayRecord[] = [];
  readonly #users = new Map<string, UserRecord>();
  readonly #service = new Users();
  readonly #random: RandomIndex;
  #now: number;

  constructor(now: number, random: RandomIndex) {
    this.#now = now;
    this.#random = random;
  }

  get tasks(): readonly TaskRecord[] {
    return this.#tasks;
  }

  /** What the tables must hold. */
  records(): MarketRecords {
    return {
      tasks: this.#tasks,
      assignments: this.#assignments.toSorted((one, other) => byText(one.taskId, other.taskId) || one.assignmentNumber - other.assignmentNumber),
      days: this.#days,
      users: [...this.#users.values()].toSorted((one, other) => byText(one.id, other.id)),
    };
  }

  /**
   * How an action must end; the market is then as it is after that.
   * @param real how it did end: ids and numbers of tasks are given there
   */
  foresee(action: Action, real: Outcome): Outcome {
    if ('task' in action) return this.#aboutTask(action);
    if (action.does === 'CHANGE_USERS') return this.#changeUsers(action);
    if (action.does === 'CREATE') return this.#create(action, real);
    if (action.does === 'SHUFFLE') return { done: this.#assignAll(this.#today(), () => true) };
    if (action.does === 'END_DAYS') return { done: this.#endDays() };
    if (action.does === 'WAIT') {
      this.#now += action.hours * HOUR_MS;
      return { done: null };
    }
    const mayEnd = this.#endEarly(dateOf(this.#now + action.daysFromToday * 24 * HOUR_MS));
    return { done: { mayEnd, ended: this.#endDays() } };
  }

  #aboutTask(action: AboutTask): Outcome {
    const task = taskAt(this.#tasks, action.task);
    if (task === undefined) return refused('NOT_FOUND');
    const refusal = this.#changeTask(task, action);
    return refusal === null ? { done: summaryOf(task) } : refused(refusal);
  }

  #changeTask(task: TaskRecord, action: AboutTask): ErrorCode | null {
    if (action.does === 'UPDATE') return update(task, action);
    if (action.does === 'ASSIGN') return this.#assignOne(task, idOf(action.to, task));
    if (action.does === 'COMPLETE') return this.#complete(task, idOf(action.by, task));
    return this.#delete(task, action);
  }

  #changeUsers({ changes }: Of<'CHANGE_USERS'>): Outcome {
    const events = changes.flatMap(({ user, how }) => this.#service.change(user, how)).filter(isUserState);
    if (events.length === 0) return { done: null };
    const day = this.#today();
    const before = this.#assignable().join(' ');
    for (const { subject, data } of events) {
      const assignable = data.status === 'ACTIVE' && data.roles.every((role) => role === 'EMPLOYEE' || role === 'ACCOUNTANT');
      this.#users.set(subject, { id: subject, name: data.name, assignable });
    }
    const assignable = this.#assignable();
    if (assignable.join(' ') !== before) this.#assignAll(day, ({ assigneeId }) => assigneeId === null || !assignable.includes(assigneeId));
    return { done: null };
  }

  #create({ by, title: place }: Of<'CREATE'>, real: Outcome): Outcome {
    const text = TITLES[place];
    if (text === undefined || 'refused' in text) return refused('BAD_USER_INPUT');
    const day = this.#today();
    const { id, number } = given(real, this.#tasks.at(-1)?.number ?? 0);
    const { ticket, title } = text;
    const task: TaskRecord = { ...NOTHING_YET, id, number, ticket, title, description: '', creatorId: userId(by), createdAt: this.#moment() };
    this.#tasks.push(task);
    day.lastTaskNumber = number;
    const assigneeId = this.#draw();
    if (assigneeId !== null) this.#assign(task, assigneeId, day);
    return { done: summaryOf(task) };
  }

  #assignOne(task: TaskRecord, assigneeId: string): ErrorCode | null {
    const user = this.#users.get(assigneeId);
    if (task.status !== 'OPEN') return 'CONFLICT';
    if (user === undefined) return 'NOT_FOUND';
    if (!user.assignable) return 'BAD_USER_INPUT';
    const day = this.#today();
    if (task.assigneeId !== assigneeId) this.#assign(task, assigneeId, day);
    return null;
  }

  #complete(task: TaskRecord, by: string): ErrorCode | null {
    if (task.assigneeId !== by) return 'FORBIDDEN';
    if (task.status !== 'OPEN') return 'CONFLICT';
    const day = this.#today();
    day.completions += 1;
    Object.assign(task, { status: 'DONE', version: task.version + 1, completedBy: by, completedAt: this.#moment(), completedDay: day.day });
    return null;
  }

  #delete(task: TaskRecord, { seen }: Of<'DELETE'>): ErrorCode | null {
    if (task.status !== 'OPEN' || seen === 'STALE') return 'CONFLICT';
    const day = this.#today();
    day.deletions += 1;
    Object.assign(task, { status: 'DELETED', version: task.version + 1, deletedAt: this.#moment(), deletedDay: day.day });
    return null;
  }

  /** Chance goes by the order of ids, of tasks and of employees. @returns how many tasks */
  #assignAll(day: DayRecord, which: (task: TaskRecord) => boolean): number {
    if (this.#assignable().length === 0) return 0;
    const tasks = this.#tasks.filter((task) => task.status === 'OPEN' && which(task)).toSorted((one, other) => byText(one.id, other.id));
    for (const task of tasks) this.#assign(task, this.#draw() as string, day);
    return tasks.length;
  }

  #assign(task: TaskRecord, assigneeId: string, day: DayRecord): void {
    task.version += 1;
    task.assignmentNumber += 1;
    task.assigneeId = assigneeId;
    day.assignments += 1;
    this.#assignments.push({ taskId: task.id, assignmentNumber: task.assignmentNumber, assigneeId, businessDay: day.day, assignedAt: this.#moment() });
  }

  #assignable(): string[] {
    return [...this.#users.values()].flatMap(({ id, assignable }) => (assignable ? [id] : [])).toSorted(byText);
  }

  #draw(): string | null {
    const employees = this.#assignable();
    return employees.length === 0 ? null : (employees[this.#random(employees.length)] as string);
  }

  #moment(): Date {
    return new Date(this.#now);
  }

  /** The day that counts now, after which more days are known if there had been none; a refusal knows no more than before. */
  #today(): DayRecord {
    const isOpen = ({ endedAt, endsAt }: DayRecord): boolean => endedAt === null && endsAt.getTime() > this.#now;
    if (!this.#days.some(isOpen)) this.#knowDays();
    return this.#days.find(isOpen) as DayRecord;
  }

  #knowDays(): void {
    const today = startOf(dateOf(this.#now));
    const last = this.#days.at(-1);
    const first = last === undefined ? today : startOf(last.day) + 24 * HOUR_MS;
    for (let start = first; start <= today + DAYS_AHEAD * 24 * HOUR_MS; start += 24 * HOUR_MS) {
      this.#days.push({ day: dateOf(start), endsAt: new Date(start + 24 * HOUR_MS), endedAt: null, assignments: 0, completions: 0, deletions: 0, lastTaskNumber: 0 });
    }
  }

  #endDays(): string[] {
    this.#knowDays();
    const elapsed = this.#days.filter(({ endedAt, endsAt }) => endedAt === null && endsAt.getTime() <= this.#now);
    for (const day of elapsed) {
      day.endedAt = this.#moment();
      day.lastTaskNumber = Math.max(day.lastTaskNumber, this.#days[this.#days.indexOf(day) - 1]?.lastTaskNumber ?? 0);
    }
    return elapsed.map(({ day }) => day);
  }

  #endEarly(businessDay: string): boolean {
    this.#knowDays();
    const found = this.#days.find(({ day, endedAt }) => day === businessDay && endedAt === null);
    if (found === undefined || businessDay > dateOf(this.#now)) return false;
    found.endsAt = new Date(Math.max(startOf(businessDay), Math.min(found.endsAt.getTime(), this.#now)));
    return true;
  }
}

/** One thing that happens, on a replica whose clock may be off. */
export class Happening implements AsyncCommand<Market, World, true> {
  readonly #action: Action;
  readonly #skewMs: number;

  constructor(action: Action, skewMs = 0) {
    this.#action = action;
    this.#skewMs = skewMs;
  }

  async check(): Promise<boolean> {
    return true;
  }

  /** To the real market, and to the model, which has foreseen how it ends. */
  async run(market: Market, world: World): Promise<void> {
    const outcome = await perform(world, this.#action, market.tasks);
    compare(outcome, market.foresee(this.#action, outcome));
  }

  /** To the real market only. @param tasks what there was to see before */
  async happen(world: World, tasks: readonly KnownTask[]): Promise<void> {
    await perform(world, this.#action, tasks, this.#skewMs);
  }

  toString(): string {
    const { does, ...what } = this.#action;
    return `${does} ${JSON.stringify(what)}${this.#skewMs === 0 ? '' : ` at ${this.#skewMs} ms`}`;
  }
}

function update(task: TaskRecord, { title: place, seen }: Of<'UPDATE'>): ErrorCode | null {
  if (task.status === 'DELETED' || seen === 'STALE') return 'CONFLICT';
  const text = TITLES[place];
  if (text === undefined || 'refused' in text) return 'BAD_USER_INPUT';
  // A title without a ticket leaves the ticket as it is.
  const ticket = text.ticket ?? task.ticket;
  if (text.title === task.title && ticket === task.ticket) return null;
  Object.assign(task, { ticket, title: text.title, version: task.version + 1, textVersion: task.textVersion + 1 });
  return null;
}

/** Of a new task what no model can foresee. */
function given(real: Outcome, lastNumber: number): Pick<TaskRecord, 'id' | 'number'> {
  if ('refused' in real) return { id: 'of a task that was to be made', number: lastNumber + 1 };
  const { id, number } = real.done as TaskRecord;
  expect(number).toBeGreaterThan(lastNumber);
  return { id, number };
}

function compare(outcome: Outcome, foreseen: Outcome): void {
  expect(outcome).toEqual(foreseen);
}

function refused(code: ErrorCode): Outcome {
  return { refused: code };
}

function byText(one: string, other: string): number {
  return Number(one > other) - Number(one < other);
}
