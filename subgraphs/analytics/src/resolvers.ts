import type { PageArguments } from '@ates/service-kit/connection';
import { DateScalar, DateTimeScalar, safeIntegerScalar } from '@ates/service-kit/scalars';
import { signedIn, withRole } from '@ates/service-kit/viewer';
import type { AnalyticsContext, AnalyticsServices } from './analytics-context.ts';
import type { AuditFilter } from './audit-filter.ts';
import { readAuditLog, type AuditEntry } from './audit-log.ts';
import type { TaskCopy } from './copy-loaders.ts';
import { dayRange, knownDay, type DayRange } from './day-range.ts';
import { readRange, type DayStats } from './day-stats.ts';
import { balancesKey, countPopugsInTheRed, popugsInTheRed, type DayBalance, type PopugInTheRed } from './employee-balances.ts';
import { exportLink } from './export-links.ts';
import { mostExpensiveTask, mostExpensiveTasks, type Period, type TopTask } from './top-tasks.ts';

/** The read models are for admins, by every door: what other roles reach here are names of tasks and users, by their ids. */
export function analyticsResolvers(services: AnalyticsServices): Record<string, unknown> {
  return {
    Cents: safeIntegerScalar('Cents'),
    Date: DateScalar,
    DateTime: DateTimeScalar,
    Query: { ...dayQueries(services), ...auditQueries(services) },
    Subscription: { dayStatsChanged: dayStatsChanged(services) },
    ...modelTypes(services),
    ...copiedTypes(),
  };
}

function forAdmins<Arguments, Answer>(answer: (given: Arguments, context: AnalyticsContext) => Answer) {
  return (_: unknown, given: Arguments, context: AnalyticsContext): Answer => {
    withRole(context.viewer, 'ADMIN');
    return answer(given, context);
  };
}

function dayQueries({ database: { sql }, currentDay }: AnalyticsServices) {
  return {
    dayStats: forAdmins(async ({ day }: { day?: string | null }, { days }) => days.load(day == null ? await currentDay() : knownDay(day))),
    daysStats: forAdmins(({ from, to }: DayRange) => readRange(sql, dayRange(from, to))),
    mostExpensiveTask: forAdmins(({ from, to }: DayRange) => mostExpensiveTask(sql, dayRange(from, to))),
    mostExpensiveTasks: forAdmins(({ period, from, to }: DayRange & { period: Period }) => mostExpensiveTasks(sql, period, dayRange(from, to))),
    popugsInTheRed: forAdmins((page: PageArguments) => popugsInTheRed(sql, page)),
  };
}

function auditQueries({ database, clock, linkKey }: AnalyticsServices) {
  return {
    auditLog: forAdmins(({ filter, ...page }: PageArguments & { filter?: AuditFilter | null }) => readAuditLog(database, filter ?? {}, page)),
    auditExport: forAdmins(({ fromDay, toDay }: { fromDay: string; toDay: string }) => exportLink(dayRange(fromDay, toDay), linkKey, clock())),
  };
}

function dayStatsChanged({ live }: AnalyticsServices) {
  return {
    subscribe: forAdmins(() => live.watch()),
    resolve: (stats: DayStats) => stats,
  };
}

function modelTypes({ database: { sql } }: AnalyticsServices): Record<string, unknown> {
  return {
    DayStats: {
      balances: ({ day }: DayStats, page: PageArguments, { balances }: AnalyticsContext) => balances.load(balancesKey(day, page)),
    },
    DayBalance: { employee: ({ employeeId }: DayBalance) => ({ id: employeeId }) },
    PopugInTheRedConnection: { totalCount: () => countPopugsInTheRed(sql) },
    PopugInTheRed: { employee: ({ employeeId }: PopugInTheRed) => ({ id: employeeId }) },
    TopTask: { task: ({ taskId }: TopTask) => ({ id: taskId }) },
    AuditEntry: {
      occurredAt: ({ at }: AuditEntry) => new Date(at),
      employee: ({ employeeId }: AuditEntry) => ({ id: employeeId }),
      task: ({ taskId }: AuditEntry) => (taskId === null ? null : { id: taskId }),
    },
  };
}

/** Other services' entities, as Analytics knows them from its copies. */
function copiedTypes(): Record<string, unknown> {
  const reference = ({ id }: { id: string }, { viewer }: AnalyticsContext) => {
    signedIn(viewer);
    return { id };
  };
  const ofTask =
    <Value>(read: (task: TaskCopy) => Value) =>
    async ({ id }: { id: string }, _: unknown, { tasks }: AnalyticsContext) =>
      read(await tasks.load(id));
  return {
    User: {
      __resolveReference: reference,
      name: ({ id }: { id: string }, _: unknown, { userNames }: AnalyticsContext) => userNames.load(id),
    },
    Task: {
      __resolveReference: reference,
      number: ofTask(({ number }) => number),
      ticket: ofTask(({ ticket }) => ticket),
      title: ofTask(({ title }) => title),
      reward: ofTask(({ reward }) => reward),
    },
  };
}
