import { defineEntity, p, type InferEntity } from '@mikro-orm/core';
import type { TaskStatus } from '@ates/shared-events/task-events';

export const TaskEntity = defineEntity({
  name: 'Task',
  tableName: 'tasks',
  properties: {
    id: p.uuid().primary(),
    // Counts the task's events; set by the rules in task.ts while the row is locked.
    version: p.integer(),
    number: p.integer(),
    ticket: p.text().nullable(),
    title: p.text(),
    description: p.text(),
    status: p.text().$type<TaskStatus>(),
    assigneeId: p.uuid().nullable(),
    assignmentNumber: p.integer(),
    creatorId: p.uuid(),
    createdAt: p.datetime(),
    completedAt: p.datetime().nullable(),
    completedBusinessDay: p.date().nullable(),
    fee: p.bigint('number').nullable(),
    reward: p.bigint('number').nullable(),
  },
});

export type TaskRow = InferEntity<typeof TaskEntity>;
