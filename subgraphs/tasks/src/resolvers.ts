import type { PageArguments } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { isId } from '@ates/service-kit/identifiers';
import type { Loader } from '@ates/service-kit/loader';
import { DateScalar, DateTimeScalar, safeIntegerScalar } from '@ates/service-kit/scalars';
import { signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import type { TaskStatus } from '@ates/shared-events/task-events';
import type { LiveTasks, TaskChange } from './live-tasks.ts';
import { shuffleTasks } from './shuffle.ts';
import { assignTask, completeTask, createTask, type NewTask, type TaskCommandOptions } from './task-commands.ts';
import { deleteTask, updateTask, type TaskEdit } from './task-edits.ts';
import type { TaskFilter, TaskOrder } from './task-filter.ts';
import { listTasks } from './task-list.ts';
import { listAssignments, taskLoader, type AssignmentRow, type TaskRow } from './task-queries.ts';
import { userNameLoader } from './user-copies.ts';

export interface TasksContext {
  readonly viewer: Viewer | null;
  readonly tasks: Loader<string, TaskRow | null>;
  readonly userNames: Loader<string, string>;
}

export interface TasksServices extends TaskCommandOptions {
  readonly live: LiveTasks;
}

type ListArguments = PageArguments & { readonly orderBy: TaskOrder };

const MANAGES_TASKS = ['MANAGER', 'ADMIN'] as const;

export function tasksContext(database: Database, viewer: Viewer | null): TasksContext {
  return { viewer, tasks: taskLoader(database), userNames: userNameLoader(database) };
}

const user = (id: string | null | undefined) => (id == null ? null : { id });

export function tasksResolvers(services: TasksServices): Record<string, unknown> {
  const { database, live } = services;
  return {
    Cents: safeIntegerScalar('Cents'),
    Date: DateScalar,
    DateTime: DateTimeScalar,
    Query: {
      task: (_: unknown, { id }: { id: string }, { viewer, tasks }: TasksContext) => {
        signedIn(viewer);
        return isId(id) ? tasks.load(id) : null;
      },
      tasks: (_: unknown, { filter, orderBy, ...page }: ListArguments & { filter?: TaskFilter | null }, { viewer }: TasksContext) => {
        signedIn(viewer);
        return listTasks(database, filter ?? {}, orderBy, page);
      },
      myTasks: (_: unknown, { status, orderBy, ...page }: ListArguments & { status?: TaskStatus | null }, { viewer }: TasksContext) =>
        listTasks(database, { status: status ?? null, assigneeId: signedIn(viewer).userId }, orderBy, page),
    },
    Mutation: mutations(services),
    Subscription: {
      myTasksChanged: {
        subscribe: (_: unknown, __: unknown, { viewer }: TasksContext) => live.watch(signedIn(viewer).userId),
        resolve: async ({ taskId, kind }: TaskChange, _: unknown, { tasks }: TasksContext) => ({ task: await tasks.load(taskId), kind }),
      },
    },
    Task: {
      __resolveReference: ({ id }: { id: string }, { viewer, tasks }: TasksContext) => {
        signedIn(viewer);
        return isId(id) ? tasks.load(id) : null;
      },
      assignee: ({ assigneeId }: TaskRow) => user(assigneeId),
      creator: ({ creatorId }: TaskRow) => user(creatorId),
      version: ({ textVersion }: TaskRow) => textVersion,
      assignments: ({ id }: TaskRow, page: PageArguments) => listAssignments(database.sql, id, page),
    },
    Assignment: {
      number: ({ assignmentNumber }: AssignmentRow) => assignmentNumber,
      assignee: ({ assigneeId }: AssignmentRow) => user(assigneeId),
      day: ({ businessDay }: AssignmentRow) => businessDay,
    },
    User: {
      __resolveReference: ({ id }: { id: string }, { viewer }: TasksContext) => {
        signedIn(viewer);
        return { id };
      },
      name: ({ id }: { id: string }, _: unknown, { userNames }: TasksContext) => userNames.load(id),
    },
  };
}

function mutations(services: TasksServices): Record<string, unknown> {
  return {
    createTask: (_: unknown, { input }: { input: NewTask & { idempotencyKey?: string | null } }, { viewer }: TasksContext) => {
      const { idempotencyKey, ...task } = input;
      return createTask(services, signedIn(viewer).userId, task, idempotencyKey);
    },
    completeTask: (_: unknown, { id }: { id: string }, { viewer }: TasksContext) => completeTask(services, signedIn(viewer).userId, id),
    updateTask: (_: unknown, { id, input }: { id: string; input: TaskEdit }, { viewer }: TasksContext) =>
      updateTask(services, withRole(viewer, ...MANAGES_TASKS).userId, id, input),
    deleteTask: (_: unknown, { id, expectedVersion }: { id: string; expectedVersion?: number | null }, { viewer }: TasksContext) =>
      deleteTask(services, withRole(viewer, ...MANAGES_TASKS).userId, id, expectedVersion),
    assignTask: (_: unknown, { id, assigneeId }: { id: string; assigneeId: string }, { viewer }: TasksContext) => {
      withRole(viewer, ...MANAGES_TASKS);
      return assignTask(services, id, assigneeId);
    },
    assignTasks: async (_: unknown, { idempotencyKey }: { idempotencyKey?: string | null }, { viewer }: TasksContext) => ({
      assigned: await shuffleTasks(services, withRole(viewer, ...MANAGES_TASKS).userId, idempotencyKey),
    }),
  };
}
