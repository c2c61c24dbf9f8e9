import type { PageArguments } from '@ates/service-kit/connection';
import { pageOf } from '@ates/service-kit/connection';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId, notFound } from '@ates/service-kit/identifiers';
import { DateScalar, DateTimeScalar, safeIntegerScalar } from '@ates/service-kit/scalars';
import { signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import type { PostedEntry } from './posting.ts';
import { SEES_ALL_ACCOUNTS, type AccountingContext, type AccountingServices } from './accounting-context.ts';
import { dayResolvers } from './day-resolvers.ts';
import { inOrder } from './ordered-entries.ts';
import { statementLink, type StatementFormat } from './statement-links.ts';
import { statementPeriod } from './statement-period.ts';
import { entriesAfter, listAccounts, numberOfEntry, type AccountFilter, type AccountRow, type EntryRow, type TaskCopy } from './statement-queries.ts';

/** An account as a resolver's parent: who owns it decides who may see it. */
interface AccountReference {
  readonly id: string;
  readonly ownerId: string;
}

/** @throws DomainError as `withRole` does, unless the account is the viewer's own */
function requireVisible<Account extends { readonly ownerId: string }>(viewer: Viewer | null, account: Account): Account {
  const { userId, roles } = signedIn(viewer);
  if (userId === account.ownerId) return account;
  if (!SEES_ALL_ACCOUNTS.some((role) => roles.includes(role))) {
    throw new DomainError('FORBIDDEN', 'You can see your own account only: ask for myAccount, or an accountant');
  }
  withRole(viewer, ...SEES_ALL_ACCOUNTS);
  return account;
}

async function myAccount({ viewer, accountsByOwner }: AccountingContext) {
  const account = await accountsByOwner.load(signedIn(viewer).userId);
  if (account === null) throw new DomainError('NOT_FOUND', 'You have no account: employees and accountants have one, soon after they are made');
  return account;
}

async function accountById(context: AccountingContext, id: string) {
  signedIn(context.viewer);
  const account = isId(id) ? await context.accountsById.load(id) : null;
  return account === null ? null : requireVisible(context.viewer, account);
}

export function accountingResolvers(services: AccountingServices): Record<string, unknown> {
  const { database } = services;
  const days = dayResolvers(services);
  return {
    Cents: safeIntegerScalar('Cents'),
    Date: DateScalar,
    DateTime: DateTimeScalar,
    Query: {
      myAccount: (_: unknown, __: unknown, context: AccountingContext) => myAccount(context),
      account: (_: unknown, { id }: { id: string }, context: AccountingContext) => accountById(context, id),
      accounts: (_: unknown, { filter, ...page }: PageArguments & { filter?: AccountFilter | null }, { viewer }: AccountingContext) => {
        withRole(viewer, ...SEES_ALL_ACCOUNTS);
        return listAccounts(database.sql, filter ?? {}, page);
      },
      ...days.query,
    },
    Mutation: days.mutation,
    Subscription: { balanceChanged: balanceChanged(services) },
    ...accountTypes(services),
    ...days.types,
    ...copiedTypes(),
  };
}

/** One's own account by default; those who see all may name any. Each of its entries comes once, in order, those first that came after `after`. */
function balanceChanged({ database: { sql }, live }: AccountingServices) {
  return {
    subscribe: async (_: unknown, { accountId, after }: { accountId?: string | null; after?: string | null }, context: AccountingContext) => {
      const account = accountId == null ? await myAccount(context) : await accountById(context, accountId);
      if (account === null) throw notFound('account', accountId ?? '');
      const { id, ownerId, entryCount }: AccountRow = account;
      const known = after == null ? entryCount : await numberOfEntry(sql, id, after);
      return inOrder(live.watch(id), known, async (number, limit) => (await entriesAfter(sql, id, number, limit)).map((entry) => ({ ...entry, ownerId })));
    },
    resolve: (entry: PostedEntry) => ({ account: { id: entry.accountId, ownerId: entry.ownerId }, balance: entry.balanceAfter, entry }),
  };
}

function accountTypes({ clock, linkKey }: AccountingServices): Record<string, unknown> {
  return {
    Account: {
      __resolveReference: ({ id }: { id: string }, context: AccountingContext) => accountById(context, id),
      owner: ({ ownerId }: AccountReference) => ({ id: ownerId }),
      balance: async ({ id }: AccountReference, { at }: { at?: Date | null }, { accountsById, balances }: AccountingContext) =>
        at == null ? (await accountsById.load(id))?.balance : balances.load({ accountId: id, at }),
      earnedToday: ({ id }: AccountReference, _: unknown, { earnedToday }: AccountingContext) => earnedToday.load(id),
      entries: ({ id }: AccountReference, { day, ...page }: PageArguments & { day?: string | null }, { statements }: AccountingContext) =>
        statements.load({ accountId: id, day: day ?? null, page: pageOf(page) }),
      statement: ({ id }: AccountReference, { format, day, month }: StatementArguments) =>
        statementLink({ accountId: id, period: statementPeriod(day, month), format, now: clock(), key: linkKey }),
    },
    Entry: {
      task: ({ taskId }: EntryRow) => (taskId === null ? null : { id: taskId }),
      day: ({ businessDay }: EntryRow) => businessDay,
      createdAt: ({ postedAt }: EntryRow) => postedAt,
      hash: ({ accountId, number }: EntryRow, _: unknown, { hashes }: AccountingContext) => hashes.load({ accountId, number }),
    },
  };
}

interface StatementArguments {
  readonly format: StatementFormat;
  readonly day?: string | null;
  readonly month?: string | null;
}

/** Other services' entities: what Accounting adds to them, and what it knows of them from its copies. */
function copiedTypes(): Record<string, unknown> {
  const reference = ({ id }: { id: string }, { viewer }: AccountingContext) => {
    signedIn(viewer);
    return { id };
  };
  const ofTask =
    <Value>(read: (task: TaskCopy) => Value) =>
    async ({ id }: { id: string }, _: unknown, { tasks }: AccountingContext) =>
      read(await tasks.load(id));
  return {
    User: {
      __resolveReference: reference,
      name: ({ id }: { id: string }, _: unknown, { userNames }: AccountingContext) => userNames.load(id),
      account: async ({ id }: { id: string }, _: unknown, { viewer, accountsByOwner }: AccountingContext) => {
        requireVisible(viewer, { ownerId: id });
        return isId(id) ? accountsByOwner.load(id) : null;
      },
    },
    Task: {
      __resolveReference: reference,
      number: ofTask(({ number }) => number),
      ticket: ofTask(({ ticket }) => ticket),
      title: ofTask(({ title }) => title),
      fee: ofTask(({ price }) => price?.fee ?? null),
      reward: ofTask(({ price }) => price?.reward ?? null),
    },
  };
}
