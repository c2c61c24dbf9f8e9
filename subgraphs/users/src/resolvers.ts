import type { ClientOrigin } from '@ates/service-kit/client-origin';
import type { PageArguments } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId } from '@ates/service-kit/identifiers';
import type { Loader } from '@ates/service-kit/loader';
import { DateTimeScalar } from '@ates/service-kit/scalars';
import { hasRole, signedIn, withFullAssurance, withRole, type Viewer } from '@ates/service-kit/viewer';
import { endSessions, type Sessions, type SessionTokens } from './sessions.ts';
import type { SignIn } from './sign-in.ts';
import type { NewUser, UserChanges } from './user.ts';
import type { OutsideIdentity, UserCommands } from './user-commands.ts';
import { listSignInAttempts, listUsers, userLoader, type PublicUser, type SignInAttempt, type UserFilter } from './user-queries.ts';

export interface UsersContext {
  readonly viewer: Viewer | null;
  readonly client: ClientOrigin;
  readonly users: Loader<string, PublicUser | null>;
  /** Counts what tries credentials: one for each operation. */
  readonly attempts: { begun: number };
}

export interface UsersServices {
  readonly database: Database;
  readonly commands: UserCommands;
  readonly sessions: Sessions;
  readonly signIn: SignIn;
  readonly clock: () => Date;
  /** The identity provider whose users may be imported, if there is one. */
  readonly outsideIssuer: string | undefined;
}

/** The user as a resolver's parent: a fresh session shows its owner their own e-mail before any token is sent. */
type ShownUser = PublicUser & { readonly shownToOwner?: true };
type Keyed<Input> = { readonly input: Input & { readonly idempotencyKey?: string | null } };

const SEES_EMAILS = ['ADMIN', 'ACCOUNTANT'] as const;

export function usersContext(database: Database, viewer: Viewer | null, client: ClientOrigin): UsersContext {
  return { viewer, client, users: userLoader(database), attempts: { begun: 0 } };
}

export function usersResolvers(services: UsersServices): Record<string, unknown> {
  const { database } = services;
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
        return listUsers(database, { filter: filter ?? {}, seesEmails: hasRole(viewer, ...SEES_EMAILS) }, page);
      },
      signInAttempts: (_: unknown, { userId, ...page }: PageArguments & { userId?: string | null }, { viewer }: UsersContext) => {
        withRole(viewer, 'ADMIN');
        return listSignInAttempts(database, userId ?? null, page);
      },
    },
    Mutation: { ...sessionMutations(services), ...credentialMutations(services), ...userMutations(services) },
    User: {
      __resolveReference: ({ id }: { id: string }, { viewer, users }: UsersContext) => {
        signedIn(viewer);
        return isId(id) ? users.load(id) : null;
      },
      email: (user: ShownUser, _: unknown, { viewer }: UsersContext) =>
        user.status !== 'DELETED' && (user.shownToOwner === true || viewer?.userId === user.id || hasRole(viewer, ...SEES_EMAILS)) ? user.email : null,
    },
    UserConnection: {
      totalCount: ({ totalCount }: { totalCount: () => Promise<number> }) => totalCount(),
    },
    SignInAttempt: {
      user: ({ userId }: SignInAttempt, _: unknown, { users }: UsersContext) => (userId === null ? null : users.load(userId)),
    },
  };
}

/** One try of a credential for each operation: a hundred aliases would be a hundred guesses. */
function beginAttempt({ attempts }: UsersContext): void {
  attempts.begun += 1;
  if (attempts.begun > 1) throw new DomainError('BAD_USER_INPUT', 'An operation can sign in once: send the others on their own');
}

function sessionMutations({ database, sessions, signIn, clock }: UsersServices): Record<string, unknown> {
  const sessionShown = ({ user, ...tokens }: SessionTokens) => ({ ...tokens, user: { ...user, shownToOwner: true } });
  return {
    login: async (_: unknown, { email, password }: { email: string; password: string }, context: UsersContext) => {
      beginAttempt(context);
      return sessionShown(await signIn.withPassword(email, password, context.client));
    },
    loginWithBeak: async (_: unknown, { email, photo }: { email: string; photo: string }, context: UsersContext) => {
      beginAttempt(context);
      return sessionShown(await signIn.withBeak(email, photo, context.client));
    },
    refreshSession: async (_: unknown, { refreshToken }: { refreshToken: string }, { client }: UsersContext) => sessionShown(await sessions.refresh(refreshToken, client)),
    logout: async (_: unknown, { refreshToken }: { refreshToken: string }) => {
      await sessions.logout(refreshToken);
      return true;
    },
    logoutEverywhere: async (_: unknown, __: unknown, { viewer }: UsersContext) => {
      const { userId } = signedIn(viewer);
      await database.transaction((_em, sql) => endSessions(sql, { userId }, 'LOGOUT', clock()));
      return true;
    },
  };
}

function credentialMutations({ signIn }: UsersServices): Record<string, unknown> {
  return {
    enrollBeak: (_: unknown, { photo }: { photo: string }, context: UsersContext) => {
      beginAttempt(context);
      return signIn.enrollBeak(withFullAssurance(context.viewer).userId, photo);
    },
    changePassword: async (_: unknown, passwords: { current: string; next: string }, context: UsersContext) => {
      const viewer = withFullAssurance(context.viewer);
      beginAttempt(context);
      await signIn.changePassword(viewer, passwords, context.client);
      return true;
    },
  };
}

function userMutations({ commands, outsideIssuer }: UsersServices): Record<string, unknown> {
  const ofUser =
    (change: (id: string) => Promise<PublicUser>) =>
    (_: unknown, { id }: { id: string }, { viewer }: UsersContext) => {
      withRole(viewer, 'ADMIN');
      return change(id);
    };
  return {
    createUser: (_: unknown, { input }: Keyed<NewUser & { readonly password: string }>, { viewer }: UsersContext) => {
      const admin = withRole(viewer, 'ADMIN');
      const { idempotencyKey, ...newUser } = input;
      return commands.createUser(admin.userId, newUser, idempotencyKey);
    },
    importUser: (_: unknown, { input }: Keyed<NewUser & Pick<OutsideIdentity, 'subject'>>, { viewer }: UsersContext) => {
      const admin = withRole(viewer, 'ADMIN');
      if (outsideIssuer === undefined) throw new DomainError('BAD_USER_INPUT', 'This installation has no identity provider of its own: set OIDC_ISSUER, or use createUser');
      const { idempotencyKey, ...newUser } = input;
      return commands.importUser(admin.userId, { ...newUser, issuer: outsideIssuer }, idempotencyKey);
    },
    updateUser: (_: unknown, { id, input }: { id: string; input: UserChanges }, { viewer }: UsersContext) => {
      withRole(viewer, 'ADMIN');
      return commands.updateUser(id, input);
    },
    deactivateUser: ofUser((id) => commands.deactivateUser(id)),
    reactivateUser: ofUser((id) => commands.reactivateUser(id)),
    deleteUser: ofUser((id) => commands.deleteUser(id)),
  };
}
