import { isId } from '@ates/service-kit/identifiers';
import type { Loader } from '@ates/service-kit/loader';
import { DateTimeScalar } from '@ates/service-kit/scalars';
import { hasRole, signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Database } from '@ates/service-kit/database';
import type { PageArguments } from '@ates/service-kit/connection';
import type { Sessions, SessionTokens } from './sessions.ts';
import type { NewUser } from './user.ts';
import type { UserCommands } from './user-commands.ts';
import { listUsers, userLoader, type PublicUser, type UserFilter } from './user-queries.ts';

export interface UsersContext {
  readonly viewer: Viewer | null;
  readonly users: Loader<string, PublicUser | null>;
}

export interface UsersServices {
  readonly database: Database;
  readonly commands: UserCommands;
  readonly sessions: Sessions;
}

/** The user as a resolver's parent: a fresh session shows its owner their own e-mail before any token is sent. */
type ShownUser = PublicUser & { readonly shownToOwner?: true };

export function usersContext(database: Database, viewer: Viewer | null): UsersContext {
  return { viewer, users: userLoader(database) };
}

export function usersResolvers({ database, commands, sessions }: UsersServices): Record<string, unknown> {
  const sessionShown = ({ user, ...tokens }: SessionTokens) => ({ ...tokens, user: { ...user, shownToOwner: true } });
  return {
    DateTime: DateTimeScalar,
    Query: {
      me: async (_: unknown, __: unknown, { viewer, users }: UsersContext) => {
        const user = await users.load(signedIn(viewer).userId);
        if (user === null) throw new DomainError('UNAUTHENTICATED', 'This user does not exist here: sign in again');
        return user;
      },
      user: (_: unknown, { id }: { id: string }, { viewer, users }: UsersContext) => {
        signedIn(viewer);
        return isId(id) ? users.load(id) : null;
      },
      users: (_: unknown, { filter, ...page }: PageArguments & { filter?: UserFilter | null }, { viewer }: UsersContext) => {
        signedIn(viewer);
        return listUsers(database, filter ?? {}, page);
      },
    },
    Mutation: {
      login: async (_: unknown, { email, password }: { email: string; password: string }) => sessionShown(await sessions.login(email, password)),
      refreshSession: async (_: unknown, { refreshToken }: { refreshToken: string }) => sessionShown(await sessions.refresh(refreshToken)),
      logout: (_: unknown, { refreshToken }: { refreshToken: string }) => sessions.logout(refreshToken),
      createUser: (_: unknown, { input }: { input: NewUser & { idempotencyKey?: string | null } }, { viewer }: UsersContext) => {
        const admin = withRole(viewer, 'ADMIN');
        const { idempotencyKey, ...newUser } = input;
        return commands.createUser(admin.userId, newUser, idempotencyKey);
      },
    },
    User: {
      __resolveReference: ({ id }: { id: string }, { viewer, users }: UsersContext) => {
        signedIn(viewer);
        return isId(id) ? users.load(id) : null;
      },
      email: (user: ShownUser, _: unknown, { viewer }: UsersContext) =>
        user.shownToOwner === true || viewer?.userId === user.id || hasRole(viewer, 'ADMIN', 'ACCOUNTANT') ? user.email : null,
    },
    UserConnection: {
      totalCount: ({ totalCount }: { totalCount: () => Promise<number> }) => totalCount(),
    },
  };
}
