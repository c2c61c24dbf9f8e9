import type { PageArguments } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { isId } from '@ates/service-kit/identifiers';
import type { Loader } from '@ates/service-kit/loader';
import { DateTimeScalar, safeIntegerScalar } from '@ates/service-kit/scalars';
import { signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import type { TaskStatus } from '@ates/shared-events/task-events';
import type { NewTask, TaskCommands } from './task-commands.ts';
import type { TaskRow } from './task.entity.ts';
import { listTasks, taskLoader, type TaskFilter } from './task-queries.ts';
import { userNameLoader } from './user-copies.ts';

export interface TasksContext {
  readonly viewer: Viewer | null;
  readonly tasks: Loader<string, TaskRow | null>;
  readonly userNames: Loader<string, string>;
}

export function tasksContext(database: Database, viewer: Viewer | null): TasksContext {
  return { viewer, tasks: taskLoader(database), userNames: userNameLoader(database) };
}

const user = (id: string | null | undefined) => (id == null ? null : { id });

export function tasksResolvers(database: Database, commands: TaskCommands): Record<string, unknown> {
  return {
    Cents: safeIntegerScalar('Cents'),
    DateTime: DateTimeScalar,
    Query: {
      task: (_: unknown, { id }: { id: string }, { viewer, tasks }: TasksContext) => {
        signedIn(viewer);
        return isId(id) ? tasks.load(id) : null;
      },
      tasks: (_: unknown, { filter, ...page }: PageArguments & { filter?: TaskFilter | null }, { viewer }: TasksContext) => {
        signedIn(viewer);
        return listTasks(database, filter ?? {}, page);
      },
      myTasks: (_: unknown, { status, ...page }: PageArguments & { status?: TaskStatus | null }, { viewer }: TasksContext) =>
        listTasks(database, { status: status ?? null, assigneeId: signedIn(viewer).userId }, page),
    },
    Mutation: {
      createTask: (_: unknown, { input }: { input: NewTask & { idempotencyKey?: string | null } }, { viewer }: TasksContext) => {
        const { idempotencyKey, ...task } = input;
        return commands.createTask(signedIn(viewer).userId, task, idempotencyKey);
      },
      completeTask: (_: unknown, { id }: { id: string }, { viewer }: TasksContext) => commands.completeTask(signedIn(viewer).userId, id),
      assignTasks: async (_: unknown, { idempotencyKey }: { idempotencyKey?: string | null }, { viewer }: TasksContext) => ({
        assigned: await commands.assignTasks(withRole(viewer, 'MANAGER', 'ADMIN').userId, idempotencyKey),
      }),
    },
    Task: {
      __resolveReference: ({ id }: { id: string }, { viewer, tasks }: TasksContext) => {
        signedIn(viewer);
        return isId(id) ? tasks.load(id) : null;
      },
      assignee: (task: TaskRow) => user(task.assigneeId),
      creator: (task: TaskRow) => user(task.creatorId),
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
