import { defineEntity, p, type InferEntity } from '@mikro-orm/core';
import type { Role, UserStatus } from '@ates/shared-events/user-events';

export const UserEntity = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.uuid().primary(),
    // Counts the user's events; set by the rules in user.ts while the row is locked.
    version: p.integer(),
    name: p.text(),
    email: p.text(),
    emailKey: p.text(),
    // Null for users of another identity provider, and for deleted ones.
    passwordHash: p.text().nullable(),
    // See beak.ts; null until one is enrolled.
    beakPrint: p.blob().nullable(),
    roles: p.array().$type<Role[]>(),
    status: p.text().$type<UserStatus>(),
    createdAt: p.datetime(),
  },
});

export type UserRow = InferEntity<typeof UserEntity>;
