import type { Sql } from '@ates/service-kit/database';
import type { Loader } from '@ates/service-kit/loader';
import { DateScalar, DateTimeScalar, safeIntegerScalar } from '@ates/service-kit/scalars';
import { signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import { dayStats, mostExpensiveTask, popugsInTheRed, taskCopyLoader, type DayStats, type TaskCopy } from './analytics-queries.ts';

export interface AnalyticsContext {
  readonly viewer: Viewer | null;
  readonly tasks: Loader<string, TaskCopy>;
}

export function analyticsContext(sql: Sql, viewer: Viewer | null): AnalyticsContext {
  return { viewer, tasks: taskCopyLoader(sql) };
}

/** @param currentDay the current business day, `YYYY-MM-DD` */
export function analyticsResolvers(sql: Sql, currentDay: () => Promise<string>): Record<string, unknown> {
  const ofTask =
    <Value>(read: (task: TaskCopy) => Value) =>
    async ({ id }: { id: string }, _: unknown, { tasks }: AnalyticsContext) =>
      read(await tasks.load(id));
  return {
    Cents: safeIntegerScalar('Cents'),
    Date: DateScalar,
    DateTime: DateTimeScalar,
    Query: {
      dayStats: async (_: unknown, { day }: { day?: string | null }, { viewer }: AnalyticsContext) => {
        withRole(viewer, 'ADMIN');
        return dayStats(sql, day ?? (await currentDay()));
      },
    },
    DayStats: {
      popugsInTheRed: ({ day }: DayStats) => popugsInTheRed(sql, day),
      mostExpensiveTask: async ({ day }: DayStats) => {
        const top = await mostExpensiveTask(sql, day, day);
        return top === null ? null : { ...top, task: { id: top.taskId }, from: day, to: day };
      },
    },
    Task: {
      __resolveReference: ({ id }: { id: string }, { viewer }: AnalyticsContext) => {
        signedIn(viewer);
        return { id };
      },
      number: ofTask(({ number }) => number),
      ticket: ofTask(({ ticket }) => ticket),
      title: ofTask(({ title }) => title),
      reward: ofTask(({ reward }) => reward),
    },
  };
}
