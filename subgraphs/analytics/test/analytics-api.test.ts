import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { openModel, type TestModel } from './api-fixture.ts';

const DAY_MS = 86_400_000;
const dayAfter = (day: string, days: number): string => new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
/** The same ones in every run. */
const dice = (seed: number) => (max: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * max);
};

describe('Days in the API of Analytics', () => {
  const FIRST = '2026-08-20';
  const DAYS = 100;
  let model: TestModel;
  const people: string[] = [];
  const posted: { employee: string; day: string; amount: number }[] = [];
  const tasks: { taskId: string; day: string; reward: number; at: string }[] = [];
  beforeAll(async () => {
    model = await openModel();
    const roll = dice(7);
    for (let index = 0; index < 12; index += 1) people.push(await model.hire(`Popug ${index}`));
    const events: AtesEvent[] = [];
    for (let index = 0; index < 500; index += 1) {
      const [employee, day, amount] = [people[roll(11)] as string, dayAfter(FIRST, roll(DAYS)), roll(6_001) - 3_000 || 1];
      posted.push({ employee, day, amount });
      events.push(model.entry(employee, { kind: amount < 0 ? 'FEE' : 'REWARD', amount, day }));
    }
    for (let index = 0; index < 150; index += 1) {
      const day = dayAfter(FIRST, roll(DAYS));
      // Few rewards, so that many are equal.
      const [reward, at] = [20_00 + roll(6) * 100, `${day}T${String(10 + roll(3))}:00:00.000Z`];
      const { taskId, events: ofTask } = model.done({ day, reward, at });
      tasks.push({ taskId, day, reward, at });
      events.push(...ofTask);
    }
    while (events.length > 0) await model.apply(...events.splice(0, 90));
  });
  afterAll(() => model?.close());

  const byId = (one: string, other: string): number => (one < other ? -1 : 1);
  const balanceOn = (employee: string, day: string): number => posted.filter((entry) => entry.employee === employee && entry.day <= day).reduce((sum, { amount }) => sum + amount, 0);
  const topOf = (from: string, to: string) =>
    tasks.filter(({ day }) => day >= from && day <= to).toSorted((one, other) => other.reward - one.reward || byId(one.at, other.at) || byId(one.taskId, other.taskId))[0];
  const shown = (top: ReturnType<typeof topOf>, from: string, to: string) => (top === undefined ? null : { task: { id: top.taskId }, reward: top.reward, completedAt: top.at, from, to });
  const TOP = '{ task { id } reward completedAt from to }';

  test('every day of a range has its totals, those on which nothing happened too', async () => {
    const [from, to] = [dayAfter(FIRST, -40), dayAfter(FIRST, DAYS + 40)];
    const { daysStats } = await model.ask(`{ daysStats(from: "${from}", to: "${to}") { day companyEarnings popugsInTheRed assigned completed mostExpensiveTask ${TOP} } }`);
    expect(daysStats).toHaveLength(DAYS + 81);
    for (const [place, stats] of daysStats.entries()) {
      const day = dayAfter(from, place);
      const completed = tasks.filter((task) => task.day === day).length;
      expect(stats).toEqual({
        day,
        companyEarnings: 0 - posted.filter((entry) => entry.day === day).reduce((sum, { amount }) => sum + amount, 0),
        popugsInTheRed: people.filter((employee) => balanceOn(employee, day) < 0).length,
        assigned: completed,
        completed,
        mostExpensiveTask: shown(topOf(day, day), day, day),
      });
    }
    const { dayStats } = await model.ask('{ dayStats { day popugsInTheRed } }');
    expect(dayStats).toEqual({ day: model.day, popugsInTheRed: people.filter((employee) => balanceOn(employee, model.day) < 0).length });
  });

  test('the most expensive task of any range is the first of the dearest that were completed in it', async () => {
    const roll = dice(11);
    for (let index = 0; index < 60; index += 1) {
      const from = dayAfter(FIRST, roll(DAYS + 60) - 30);
      const to = dayAfter(from, roll([5, 40, 120][index % 3] as number));
      const { mostExpensiveTask } = await model.ask(`{ mostExpensiveTask(from: "${from}", to: "${to}") ${TOP} }`);
      expect(mostExpensiveTask).toEqual(shown(topOf(from, to), from, to));
    }
  });

  test.each(['DAY', 'WEEK', 'MONTH'])('the most expensive task of each %s is of those of its days that are asked for', async (period) => {
    const startOf = (day: string): string => {
      if (period === 'MONTH') return `${day.slice(0, 7)}-01`;
      return period === 'DAY' ? day : dayAfter(day, -((new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7));
    };
    for (const [from, to] of [[dayAfter(FIRST, -15), dayAfter(FIRST, 120)], ['2026-09-09', '2026-11-03'], ['2026-09-09', '2026-09-10'], ['2026-09-01', '2026-10-31']] as const) {
      const periods = Map.groupBy(Array.from({ length: (Date.parse(to) - Date.parse(from)) / DAY_MS + 1 }, (_, place) => dayAfter(from, place)), startOf);
      const expected = [...periods.values()].flatMap((days) => shown(topOf(days[0] as string, days.at(-1) as string), days[0] as string, days.at(-1) as string) ?? []);
      const { mostExpensiveTasks } = await model.ask(`{ mostExpensiveTasks(period: ${period}, from: "${from}", to: "${to}") ${TOP} }`);
      expect(mostExpensiveTasks).toEqual(expected);
    }
  });

  test('the balances of a day are those with which each employee began and ended it, page by page', async () => {
    for (const day of [dayAfter(FIRST, -1), FIRST, '2026-09-30', '2026-10-15', dayAfter(FIRST, DAYS + 10)]) {
      const known = [...new Set(posted.filter((entry) => entry.day <= day).map(({ employee }) => employee))].sort();
      const found: unknown[] = [];
      for (let after = ''; ; ) {
        const { dayStats } = await model.ask(`{ dayStats(day: "${day}") { balances(first: 4${after}) { edges { node { employee { id name } opening closing } } pageInfo { hasNextPage endCursor } } } }`);
        found.push(...dayStats.balances.edges.map(({ node }: any) => node));
        if (!dayStats.balances.pageInfo.hasNextPage) break;
        after = `, after: "${dayStats.balances.pageInfo.endCursor}"`;
      }
      expect(found).toEqual(known.map((id) => ({ employee: { id, name: `Popug ${people.indexOf(id)}` }, opening: balanceOn(id, dayAfter(day, -1)), closing: balanceOn(id, day) })));
    }
  });

  test('a page of balances looks at a bounded number of employees, and goes on behind them', async () => {
    const other = await openModel();
    await other.database.sql(`insert into employees (employee_id, first_day) select uuidv7(), case when place in (700, 1300) then date '2020-01-01' else '2026-01-01' end from generate_series(1, 1400) as place`);
    const found: number[] = [];
    for (let after = ''; ; ) {
      const { dayStats } = await other.ask(`{ dayStats(day: "2020-02-01") { balances(first: 4${after}) { edges { cursor } pageInfo { hasNextPage endCursor } } } }`);
      found.push(dayStats.balances.edges.length);
      if (!dayStats.balances.pageInfo.hasNextPage) break;
      after = `, after: "${dayStats.balances.pageInfo.endCursor}"`;
    }
    await other.close();
    expect(found).toEqual([0, 1, 1]);
  });

  test('who is in the red now is listed, and counted', async () => {
    const now = people.map((id) => ({ employee: { id, name: `Popug ${people.indexOf(id)}` }, balance: balanceOn(id, '2099-01-01') })).filter(({ balance }) => balance < 0).sort((one, other) => byId(one.employee.id, other.employee.id));
    const page = (after: string) => model.ask(`{ popugsInTheRed(first: 2${after}) { totalCount edges { node { employee { id name } balance } } pageInfo { hasNextPage endCursor } } }`);
    const { popugsInTheRed: first } = await page('');
    expect(first).toMatchObject({ totalCount: now.length, edges: now.slice(0, 2).map((node) => ({ node })), pageInfo: { hasNextPage: now.length > 2 } });
    expect((await page(`, after: "${first.pageInfo.endCursor}"`)).popugsInTheRed.edges.map(({ node }: any) => node)).toEqual(now.slice(2, 4));
  });

  test('a day is reconciled when Accounting has closed it with the same totals', async () => {
    const day = '2027-03-01';
    const ask = async () => (await model.ask(`{ dayStats(day: "${day}") { reconciled paidOut paidEmployees companyEarnings popugsInTheRed } }`)).dayStats;
    const employee = await model.hire('Dora');
    await model.apply(model.entry(employee, { kind: 'REWARD', amount: 25_00, day }), ...model.done({ day, reward: 25_00 }).events);
    expect(await ask()).toMatchObject({ reconciled: false, paidOut: 0 });
    const payout = model.entry(employee, { kind: 'PAYOUT', amount: -25_00, day });
    const { popugsInTheRed } = await ask();
    await model.apply(model.closed(day, { assignments: 1, completions: 1, companyEarnings: -25_00, paidOut: 25_00, paidEmployees: 1, employeesInTheRed: popugsInTheRed }));
    expect((await ask()).reconciled).toBe(false);
    await model.apply(payout, payout);
    expect(await ask()).toEqual({ reconciled: true, paidOut: 25_00, paidEmployees: 1, companyEarnings: -25_00, popugsInTheRed });
  });

  test.each([
    ['daysStats(from: "2026-01-02", to: "2026-01-01") { day }'],
    ['daysStats(from: "2025-01-01", to: "2026-01-02") { day }'],
    ['daysStats(from: "0000-01-01", to: "0000-01-02") { day }'],
    ['dayStats(day: "0000-12-31") { day }'],
    ['dayStats(day: "2026-02-30") { day }'],
    ['dayStats { balances(first: 0) { edges { cursor } } }'],
    ['dayStats { balances(first: 101) { edges { cursor } } }'],
    ['dayStats { balances(after: "WyJub2JvZHkiXQ") { edges { cursor } } }'],
    ['daysStats(from: "2026-01-01", to: "2026-03-01") { balances(first: 100) { edges { cursor } } }'],
    ['mostExpensiveTask(from: "2026-01-02", to: "2026-01-01") { reward }'],
    ['mostExpensiveTasks(period: DAY, from: "2025-01-01", to: "2026-01-02") { reward }'],
    ['mostExpensiveTasks(period: WEEK, from: "2019-01-01", to: "2026-01-12") { reward }'],
    ['mostExpensiveTasks(period: MONTH, from: "1996-01-01", to: "2026-07-01") { reward }'],
    ['popugsInTheRed(after: "WyJub2JvZHkiXQ") { totalCount edges { cursor } }'],
  ])('%s is bad input', async (field) => {
    expect(await model.codeOf(`{ ${field} }`)).toBe('BAD_USER_INPUT');
  });

  test('the longest ranges that are let through are 366 periods', async () => {
    expect((await model.ask('{ daysStats(from: "2025-01-01", to: "2026-01-01") { day } }')).daysStats).toHaveLength(366);
    await model.ask('{ mostExpensiveTasks(period: WEEK, from: "2019-01-01", to: "2026-01-04") { reward } }');
    await model.ask('{ mostExpensiveTasks(period: MONTH, from: "1996-01-01", to: "2026-06-30") { reward } }');
    await model.ask('{ mostExpensiveTask(from: "0001-01-01", to: "9999-12-31") { reward } }');
  });

  test('is for admins only, by every door; names of tasks and users are for whoever is signed in', async () => {
    const day = '2026-09-01';
    const fields = [
      'dayStats { day }',
      `daysStats(from: "${day}", to: "${day}") { day }`,
      `mostExpensiveTask(from: "${day}", to: "${day}") { reward }`,
      `mostExpensiveTasks(period: DAY, from: "${day}", to: "${day}") { reward }`,
      'popugsInTheRed { totalCount edges { cursor } }',
      'auditLog { edges { cursor } }',
      `auditExport(fromDay: "${day}", toDay: "${day}") { url }`,
    ];
    for (const field of fields) {
      for (const role of ['EMPLOYEE', 'MANAGER', 'ACCOUNTANT']) expect([field, await model.codeOf(`{ ${field} }`, [role])]).toEqual([field, 'FORBIDDEN']);
      expect(await model.codeOf(`{ ${field} }`, [])).toBe('UNAUTHENTICATED');
      await model.ask(`{ ${field} }`);
    }
    for (const role of ['EMPLOYEE', 'MANAGER', 'ACCOUNTANT']) {
      await expect(model.watch('subscription { dayStatsChanged { day } }', [role])).rejects.toMatchObject({ originalError: { code: 'FORBIDDEN' } });
    }
    const entities = `{ _entities(representations: [{ __typename: "User", id: "${people[0]}" }, { __typename: "Task", id: "${tasks[0]?.taskId}" }, { __typename: "User", id: "nobody" }]) { ... on User { name } ... on Task { title } } }`;
    expect((await model.ask(entities, ['EMPLOYEE']))['_entities']).toEqual([{ name: 'Popug 0' }, { title: 'Feed the parrot' }, { name: 'a popug not known here yet' }]);
    expect(await model.codeOf(entities, [])).toBe('UNAUTHENTICATED');
    for (const type of ['DayStats', 'AuditEntry', 'TopTask', 'DayBalance']) {
await expect(model.ask(`{ _entities(representations: [{ __typename: "${type}", id: "1", day: "${day}" }]) { __typename } }`)).rejects.toThrow();
    }
  });

  test('a request takes as many statements for many days and rows as for one', async () => {
    const days = (to: string, first: number) =>
      `{ daysStats(from: "2026-09-01", to: "${to}") { popugsInTheRed reconciled mostExpensiveTask { task { number title reward } } balances(first: ${first}) { edges { node { opening employee { name } } } } } }`;
    const tops = (to: string) => `{ mostExpensiveTasks(period: WEEK, from: "2026-09-01", to: "${to}") { task { number title } } }`;
    const audit = (first: number) => `{ auditLog(first: ${first}) { edges { node { amount employee { name } task { title } } } } }`;
    const red = (first: number) => `{ popugsInTheRed(first: ${first}) { totalCount edges { node { employee { name } } } } }`;
    expect(await model.statementsOf(days('2026-10-20', 50))).toBe(await model.statementsOf(days('2026-09-02', 2)));
    expect(await model.statementsOf(days('2026-10-20', 50))).toBeLessThanOrEqual(5);
    expect(await model.statementsOf(tops('2026-11-20'))).toBe(await model.statementsOf(tops('2026-09-14')));
    // A page that its newest month doesn't fill is looked for in five more, and then in all before them.
    expect(await model.statementsOf(audit(100)) - (await model.statementsOf(audit(1)))).toBeLessThanOrEqual(2);
    expect(await model.statementsOf(red(100))).toBe(await model.statementsOf(red(1)));
    expect(await model.statementsOf(audit(100))).toBeLessThanOrEqual(7);
    expect(await model.statementsOf(red(100))).toBeLessThanOrEqual(3);
  });
});
