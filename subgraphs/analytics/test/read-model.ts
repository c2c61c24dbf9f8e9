import type { PublishedAtesEvent } from '@ates/shared-events/catalog';

/** The read model as rows in order, each table by its name; what has only zeros in it is left out of the totals. */
export type ReadModel = Record<string, readonly Record<string, unknown>[]>;

const inOrder = <Value>(map: ReadonlyMap<string, Value>): (readonly [string, Value])[] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const daysOf = (entries: readonly { readonly businessDay: string }[]): string[] => [...new Set(entries.map(({ businessDay }) => businessDay))].sort();
const monthOf = (day: string): string => `${day.slice(0, 7)}-01`;

/** The tables' rows as `modelOf` says them. */
export const READ = {
  audit_entries: `select entry_id::text as id, day::text, kind, amount::int, description, employee_id::text as employee, task_id::text as task, posted_at as at from audit_entries order by id`,
  employees: 'select employee_id::text as employee, balance::int, first_day::text as first from employees order by employee_id',
  employee_days: 'select employee_id::text as employee, day::text, net::int, closing::int from employee_days order by employee_id, day',
  day_totals: `select day::text, company_earnings::int as earnings, paid_out::int as paid, paid_employees as payouts, assigned, completed, sign_ins as granted, denied_sign_ins as denied, red_change as red
    from day_totals where (company_earnings, paid_out, paid_employees, assigned, completed, sign_ins, denied_sign_ins, red_change) <> (0, 0, 0, 0, 0, 0, 0, 0) order by day`,
  month_totals: 'select month::text, red_change as red from month_totals where red_change <> 0 order by month',
  day_tops: 'select day::text as period, task_id::text as task, reward::int, completed_at as at from day_tops order by day',
  month_tops: 'select month::text as period, task_id::text as task, reward::int, completed_at as at from month_tops order by month',
  completions: 'select task_id::text as task, day::text, completed_at as at from completions order by task_id',
  task_rewards: 'select task_id::text as task, reward::int from task_rewards where reward is not null order by task_id',
  task_copies: 'select task_id::text as task, title from task_copies order by task_id',
  user_copies: 'select user_id::text as employee, name from user_copies order by user_id',
  day_closings: 'select day::text, company_earnings::int as earnings, employees_in_the_red as red from day_closings order by day',
} as const;

interface DayOfModel {
  earnings: number;
  paid: number;
  payouts: number;
  assigned: number;
  completed: number;
  granted: number;
  denied: number;
  red: number;
}

/** What a list of events comes to, in the plainest way: no batches, no sums that go on, no code of the service. Each aggregate's events are in their order. */
export function modelOf(events: readonly PublishedAtesEvent[], timeZone: string): ReadModel {
  const dateOf = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const days = new Map<string, DayOfModel>();
  const ofDay = (day: string): DayOfModel => {
    if (!days.has(day)) days.set(day, { earnings: 0, paid: 0, payouts: 0, assigned: 0, completed: 0, granted: 0, denied: 0, red: 0 });
    return days.get(day)!;
  };
  const entries = new Map<string, any>();
  const first = new Map<string, string[]>();
  const [rewards, completions, titles, names, closings] = [new Map<string, number>(), new Map<string, any>(), new Map<string, string>(), new Map<string, string>(), new Map<string, any>()];
  for (const { dataschema, subject, data } of events as readonly any[]) {
    if (dataschema.startsWith('user.') && data.roles) names.set(subject, data.name);
    if (dataschema === 'user.authenticated.v1') ofDay(dateOf.format(new Date(data.attemptedAt))).granted += 1;
    if (dataschema === 'user.denied.v1') ofDay(dateOf.format(new Date(data.attemptedAt))).denied += 1;
    if (dataschema === 'task.created.v2' || dataschema === 'task.updated.v1') titles.set(subject, data.title);
    if (dataschema === 'task.assigned.v1') ofDay(data.businessDay).assigned += 1;
    if (dataschema === 'task.completed.v1') completions.set(subject, { day: data.businessDay, at: new Date(data.completedAt) });
    if (dataschema === 'task.priced.v1') rewards.set(subject, data.reward);
    if (dataschema === 'day.closed.v1') closings.set(data.businessDay, data);
    if (data.ownerId) first.set(data.ownerId, [...(first.get(data.ownerId) ?? []), data.entry?.businessDay ?? data.businessDay]);
    if (data.entry) entries.set(data.entry.id, { ...data.entry, employee: data.ownerId });
  }
  for (const { kind, amount, businessDay } of entries.values()) {
    if (kind !== 'PAYOUT') ofDay(businessDay).earnings -= amount;
    else Object.assign(ofDay(businessDay), { paid: ofDay(businessDay).paid - amount, payouts: ofDay(businessDay).payouts + 1 });
  }
  for (const { day } of completions.values()) ofDay(day).completed += 1;
  const of = (employee: string) => [...entries.values()].filter((entry) => entry.employee === employee);
  const balanceAt = (employee: string, day: string): number => of(employee).filter(({ businessDay }) => businessDay <= day).reduce((sum, { amount }) => sum + amount, 0);
  const months = new Map<string, { red: number }>();
  let inTheRed = 0;
  for (const day of daysOf([...entries.values()])) {
    const red = [...first.keys()].filter((employee) => balanceAt(employee, day) < 0).length;
    ofDay(day).red = red - inTheRed;
    months.set(monthOf(day), { red: (months.get(monthOf(day))?.red ?? 0) + red - inTheRed });
    inTheRed = red;
  }
  const topsBy = (periodOf: (day: string) => string) => {
    const tops = new Map<string, any>();
    const done = inOrder(completions).filter(([task]) => rewards.has(task)).map(([task, { day, at }]) => ({ period: periodOf(day), task, reward: rewards.get(task)!, at }));
    for (const one of done.sort((a, b) => b.reward - a.reward || a.at - b.at || (a.task < b.task ? -1 : 1))) if (!tops.has(one.period)) tops.set(one.period, one);
    return inOrder(tops).map(([, top]) => top);
  };
  return {
    audit_entries: inOrder(entries).map(([id, { businessDay: day, kind, amount, description, employee, taskId: task, postedAt }]) => ({ id, day, kind, amount, description, employee, task, at: new Date(postedAt) })),
    employees: inOrder(first).map(([employee, told]) => ({ employee, balance: balanceAt(employee, '9999-12-31'), first: told.sort()[0] })),
    employee_days: inOrder(first).flatMap(([employee]) =>
      daysOf(of(employee)).map((day) => {
        const net = of(employee).filter(({ businessDay }) => businessDay === day).reduce((sum, { amount }) => sum + amount, 0);
        return { employee, day, net, closing: balanceAt(employee, day) };
      }),
    ),
    day_totals: inOrder(days).filter(([, totals]) => Object.values(totals).some((total) => total !== 0)).map(([day, totals]) => ({ day, ...totals })),
    month_totals: inOrder(months).map(([month, { red }]) => ({ month, red })).filter(({ red }) => red !== 0),
    day_tops: topsBy((day) => day),
    month_tops: topsBy(monthOf),
    completions: inOrder(completions).map(([task, { day, at }]) => ({ task, day, at })),
    task_rewards: inOrder(rewards).map(([task, reward]) => ({ task, reward })),
    task_copies: inOrder(titles).map(([task, title]) => ({ task, title })),
    user_copies: inOrder(names).map(([employee, name]) => ({ employee, name })),
    day_closings: inOrder(closings).map(([day, { companyEarnings: earnings, employeesInTheRed: red }]) => ({ day, earnings, red })),
  };
}
