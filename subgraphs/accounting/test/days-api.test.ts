import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { Database, Sql } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { Viewer } from '@ates/service-kit/viewer';
import { graphql, parse, subscribe } from 'graphql';
import { startCloseRobot, type CloseRobot } from '../src/close-robot.ts';
import { createLiveBalances, tellOfPayouts } from '../src/live-balance.ts';
import { accountingContext, type AccountingServices } from '../src/accounting-context.ts';
import { accountingResolvers } from '../src/resolvers.ts';
import { statementLinkKey } from '../src/statement-links.ts';
import { FEE, openLedger, REWARD, type LedgerFixture } from './ledger-fixture.ts';

const [MONDAY, TUESDAY] = ['2026-11-16', '2026-11-17'] as const;
const EARNED = REWARD - FEE;
const LOGGER = createLogger('accounting', 'silent');

/** Accounting's part of the API over one database, without HTTP: so the statements of a request can be counted. */
describe('Days in the API', () => {
  let ledger: LedgerFixture;
  let robot: CloseRobot;
  let services: AccountingServices;
  let statements = 0;
  let requested: any;
  let closed: any;
  const people = new Map<string, string>();
  const live = createLiveBalances(LOGGER);

  beforeAll(async () => {
    ledger = await openLedger();
    ledger.now = new Date(`${MONDAY}T10:00:00Z`);
    const database = counting(ledger.database);
    robot = startCloseRobot({ database: ledger.database, timeZone: 'UTC', clock: ledger.clock, logger: LOGGER, alarmAfterMs: 600_000, onClosed: (day) => tellOfPayouts(ledger.database.sql, live, day) });
    services = { database, live, linkKey: statementLinkKey('a secret of the gateway'), timeZone: 'UTC', clock: ledger.clock, currentDay: () => Promise.resolve(MONDAY), closeNow: robot.look };
    for (const name of ['Ann', 'Bob', 'Cleo', 'Dora']) people.set(name, await ledger.hire(name));
    people.set('Acca', await ledger.hire('Acca', ['ACCOUNTANT']));
    people.set('Mona', await ledger.hire('Mona', ['MANAGER']));
    people.set('Adam', await ledger.hire('Adam', ['ADMIN']));
    for (const name of ['Ann', 'Bob', 'Cleo']) await ledger.work(idOf(name), MONDAY, true);
    await ledger.work(idOf('Dora'), MONDAY);
    requested = await ask('Adam', `mutation { closeDay(day: "${MONDAY}") { day status closedAt companyEarnings paidOut } }`);
    await ledger.end(MONDAY);
    ledger.now = new Date(`${TUESDAY}T00:00:01Z`);
    closed = await askUntil('Acca', `{ dayClosing(day: "${MONDAY}") { day status closedAt companyEarnings paidOut paidEmployees carriedOver } }`, ({ dayClosing }) => dayClosing.status === 'CLOSED');
  });
  afterAll(async () => {
    await robot?.stop();
    await ledger?.close();
  });

  const idOf = (name: string): string => people.get(name) as string;
  const ROLES: Record<string, string> = { Acca: 'ACCOUNTANT', Mona: 'MANAGER', Adam: 'ADMIN' };
  const contextOf = (name: string) => {
    const viewer = { userId: idOf(name), roles: [ROLES[name] ?? 'EMPLOYEE'], assurance: 'full', expiresAt: new Date('2100-01-01'), rolesAreCurrent: true };
    return accountingContext(services, viewer as unknown as Viewer);
  };
  const schemaOf = () => buildSubgraphSchema({ typeDefs: parse(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8')), resolvers: accountingResolvers(services) as never });
  const answer = (name: string, source: string) => graphql({ schema: schemaOf(), source, contextValue: contextOf(name) });
  const ask = async (name: string, source: string): Promise<any> => {
    const { data, errors } = await answer(name, source);
    if (errors !== undefined) throw new Error(JSON.stringify(errors));
    return JSON.parse(JSON.stringify(data));
  };
  const askUntil = async (name: string, source: string, isThere: (data: any) => boolean): Promise<any> => {
    for (;;) {
      robot.look();
      const data = await ask(name, source);
      if (isThere(data)) return data;
    }
  };
  const codeOf = async (name: string, source: string): Promise<unknown> => {
    const [error] = (await answer(name, source)).errors ?? [];
    return (error?.originalError as { code?: string } | undefined)?.code ?? error?.extensions['code'];
  };
  const statementsOf = async (name: string, source: string): Promise<number> => {
    statements = 0;
    await ask(name, source);
    return statements;
  };

  test('a day that is closed by hand is CLOSING until its end has come, and CLOSED after that', () => {
    expect(requested).toEqual({ closeDay: { day: MONDAY, status: 'CLOSING', closedAt: null, companyEarnings: 4 * FEE - 3 * REWARD, paidOut: 0 } });
    expect(closed.dayClosing).toMatchObject({ day: MONDAY, closedAt: '2026-11-17T00:00:01.000Z', companyEarnings: 4 * FEE - 3 * REWARD, paidOut: 3 * EARNED, paidEmployees: 3, carriedOver: -FEE });
  });

  test('payouts of a day are listed page by page, with their accounts, owners and mails', async () => {
    const page = (after: string) => ask('Acca', `{ payouts(day: "${MONDAY}", first: 2${after}) { edges { node { id day amount mail account { balance owner { name } } } } pageInfo { hasNextPage endCursor } } }`);
    const { payouts: first } = await page('');
    const { payouts: last } = await page(`, after: "${first.pageInfo.endCursor}"`);
    expect([first.pageInfo.hasNextPage, last.pageInfo.hasNextPage]).toEqual([true, false]);
    const nodes = [...first.edges, ...last.edges].map(({ node }: any) => node);
    expect(new Set(nodes.map(({ account }) => account.owner.name))).toEqual(new Set(['Ann', 'Bob', 'Cleo']));
    for (const node of nodes) expect(node).toMatchObject({ day: MONDAY, amount: EARNED, mail: 'PENDING', account: { balance: 0 } });
    expect((await ask('Acca', `{ payouts(day: "${TUESDAY}") { edges { cursor } } }`)).payouts.edges).toEqual([]);
  });

  test('closings are listed, the newest first', async () => {
    await ledger.work(idOf('Dora'), TUESDAY);
    await ask('Adam', `mutation { closeDay(day: "${TUESDAY}") { status } }`);
    const page = (after: string) => ask('Acca', `{ dayClosings(first: 1${after}) { edges { node { day status } } pageInfo { hasNextPage endCursor } } }`);
    const { dayClosings: first } = await page('');
    expect(first).toMatchObject({ edges: [{ node: { day: TUESDAY, status: 'CLOSING' } }], pageInfo: { hasNextPage: true } });
    expect((await page(`, after: "${first.pageInfo.endCursor}"`)).dayClosings).toMatchObject({ edges: [{ node: { day: MONDAY, status: 'CLOSED' } }], pageInfo: { hasNextPage: false } });
    expect((await ask('Acca', '{ dayClosing(day: "2026-11-01") { day } }')).dayClosing).toBeNull();
  });

  test('a day that is closed stays so, however often it is asked for', async () => {
    const again = await ask('Adam', `mutation { closeDay(day: "${MONDAY}") { status paidOut } }`);
    expect(again.closeDay).toEqual({ status: 'CLOSED', paidOut: 3 * EARNED });
  });

  test('the robots’ runs say what each did last, for which day, and how it ended', async () => {
    const { scheduledRuns } = await ask('Acca', '{ scheduledRuns(first: 50) { edges { node { robot day outcome message startedAt endedAt runs } } } }');
    expect(scheduledRuns.edges.map(({ node }: any) => node)).toContainEqual(expect.objectContaining({ robot: 'close of days', day: MONDAY, outcome: 'DONE', endedAt: '2026-11-17T00:00:01.000Z' }));
    const page = (after: string) => ask('Acca', `{ scheduledRuns(first: 1${after}) { edges { node { endedAt } } pageInfo { endCursor } } }`);
    const { scheduledRuns: first } = await page('');
    const { scheduledRuns: second } = await page(`, after: "${first.pageInfo.endCursor}"`);
    expect([first, second].map(({ edges }: any) => edges[0].node.endedAt)).toEqual(scheduledRuns.edges.slice(0, 2).map(({ node }: any) => node.endedAt));
  });

  test('a balance can be asked for as it was at any moment', async () => {
    const { myAccount } = await ask('Ann', `{ myAccount { now: balance before: balance(at: "2026-11-16T09:59:59Z") evening: balance(at: "2026-11-16T23:00:00Z") after: balance(at: "2026-11-17T00:00:01Z") later: balance(at: "2099-01-01T00:00:00Z") } }`);
    expect(myAccount).toEqual({ now: 0, before: 0, evening: EARNED, after: 0, later: 0 });
  });

  test('an entry says what it was posted for, and a payout has no task', async () => {
    const { myAccount } = await ask('Ann', '{ myAccount { entries { edges { node { kind amount description day lateFor hash balanceAfter task { id } } } } } }');
    expect(myAccount.entries.edges[0].node).toEqual({ kind: 'PAYOUT', amount: -EARNED, description: `Payout of the balance of ${MONDAY}`, day: MONDAY, lateFor: null, hash: null, balanceAfter: 0, task: null });
  });

  test('statements are links, of one’s own account, to a day or a month', async () => {
    const { myAccount } = await ask('Ann', '{ myAccount { day: statement(format: PDF, day: "2026-11-16") { url expiresAt } month: statement(format: CSV, month: "2026-11") { url } } }');
    expect(myAccount.day).toEqual({ url: expect.stringMatching(/^\/statements\/[\w-]+\/statement-2026-11-16\.pdf$/), expiresAt: new Date(ledger.now.getTime() + 300_000).toISOString() });
    expect(myAccount.month.url).toMatch(/\/statement-2026-11\.csv$/);
    for (const period of ['', ', day: "2026-11-16", month: "2026-11"', ', month: "2026-13"', ', day: "2026-11-31"']) {
      expect(await codeOf('Ann', `{ myAccount { statement(format: CSV${period}) { url } } }`)).toBe('BAD_USER_INPUT');
    }
  });

  test('accounts can be listed by who is in the red, and by owner', async () => {
    expect((await ask('Acca', '{ accounts(filter: { inTheRed: true }) { edges { node { owner { name } } } } }')).accounts.edges).toEqual([{ node: { owner: { name: 'Dora' } } }]);
    expect((await ask('Acca', `{ accounts(filter: { ownerId: "${idOf('Bob')}" }) { edges { node { owner { name } } } } }`)).accounts.edges).toEqual([{ node: { owner: { name: 'Bob' } } }]);
    expect((await ask('Acca', '{ accounts(filter: { ownerId: "nobody" }) { edges { cursor } } }')).accounts.edges).toEqual([]);
  });

  test.each([
    ['payouts(day: "2026-11-16", after: "WyJub2JvZHkiXQ") { edges { cursor } }'],
    ['dayClosings(after: "WyJub2JvZHkiXQ") { edges { cursor } }'],
    ['scheduledRuns(after: "WyJub2JvZHkiXQ") { edges { cursor } }'],
    ['scheduledRuns(after: "WyJub2JvZHkiLCJub2JvZHkiXQ") { edges { cursor } }'],
    ['accounts(after: "WyJub2JvZHkiXQ") { edges { cursor } }'],
    ['payouts(day: "2026-11-16", first: 0) { edges { cursor } }'],
    ['payouts(day: "2026-02-30") { edges { cursor } }'],
    ['dayClosings(first: 101) { edges { cursor } }'],
  ])('%s is bad input', async (field) => {
    expect(await codeOf('Acca', `{ ${field} }`)).toBe('BAD_USER_INPUT');
  });

  test.each(['Ann', 'Mona'])('none of it is for %s', async (name) => {
    for (const field of [`dayClosing(day: "${MONDAY}") { day }`, 'dayClosings { edges { cursor } }', `payouts(day: "${MONDAY}") { edges { cursor } }`, 'scheduledRuns { edges { cursor } }', 'ledgerAudit { balanced }']) {
      expect(await codeOf(name, `{ ${field} }`)).toBe('FORBIDDEN');
    }
  });

  test.each(['Ann', 'Mona', 'Acca'])('%s closes no day', async (name) => {
    expect(await codeOf(name, 'mutation { closeDay { day } }')).toBe('FORBIDDEN');
  });

  test('a request takes as many statements for many accounts as for one', async () => {
    const accounts = (first: number) => `{ accounts(first: ${first}) { edges { node { balance at: balance(at: "2026-11-16T12:00:00Z") earnedToday owner { name } entries(first: 5) { edges { node { hash task { title fee } } } } } } } }`;
    const payouts = (first: number) => `{ payouts(day: "${MONDAY}", first: ${first}) { edges { node { mail account { balance owner { name } } } } } }`;
    const closings = (first: number) => `{ dayClosings(first: ${first}) { edges { node { status companyEarnings } } } }`;
    for (const query of [accounts, payouts]) expect(await statementsOf('Acca', query(50))).toBe(await statementsOf('Acca', query(1)));
    expect(await statementsOf('Acca', accounts(50))).toBeLessThanOrEqual(9);
    expect(await statementsOf('Acca', closings(50))).toBeLessThanOrEqual(2);
  });

  describe('who watches their balance', () => {
    const watch = async (name: string, argument = ''): Promise<AsyncIterator<any>> => {
      const stream = await subscribe({ schema: schemaOf(), document: parse(`subscription { balanceChanged${argument} { balance account { owner { name } } entry { id kind } } }`), contextValue: contextOf(name) });
      if (!(Symbol.asyncIterator in stream)) throw stream.errors?.[0] ?? new Error('no stream');
      return stream[Symbol.asyncIterator]() as AsyncIterator<any>;
    };
    const next = async (stream: AsyncIterator<any>): Promise<any> => JSON.parse(JSON.stringify((await stream.next()).value.data)).balanceChanged;
    const lastEntries = async (name: string): Promise<string[]> => (await ask(name, '{ myAccount { entries { edges { node { id } } } } }')).myAccount.entries.edges.map(({ node }: any) => node.id);

    test('gets each entry once it is posted, and after a break those that came meanwhile', async () => {
      const stream = await watch('Bob');
      const taskId = await ledger.work(idOf('Bob'), TUESDAY);
      live.announce((await ledger.apply(ledger.completed(taskId, idOf('Bob'), TUESDAY))).posted);
      expect(await next(stream)).toMatchObject({ balance: -FEE, entry: { kind: 'FEE' }, account: { owner: { name: 'Bob' } } });
      expect(await next(stream)).toMatchObject({ balance: EARNED, entry: { kind: 'REWARD' } });
      await stream.return?.();
      const [, fee] = await lastEntries('Bob');
      const again = await watch('Bob', `(after: "${fee}")`);
      expect(await next(again)).toMatchObject({ balance: EARNED, entry: { kind: 'REWARD' } });
      await again.return?.();
    });

    test('is told of the payout', async () => {
      const stream = await watch('Bob');
      const { promise, resolve } = Promise.withResolvers<any>();
      void next(stream).then(resolve);
      await ledger.apply(ledger.ended(TUESDAY, await countsOf(TUESDAY)));
      await askUntil('Acca', `{ dayClosing(day: "${TUESDAY}") { status } }`, ({ dayClosing }) => dayClosing.status === 'CLOSED');
      expect(await promise).toMatchObject({ balance: 0, entry: { kind: 'PAYOUT' } });
      await stream.return?.();
    });

    test('can’t name another account’s entry to begin after, or what is none', async () => {
      const [foreign] = await lastEntries('Ann');
      for (const after of [foreign, 'nothing', '01a1f8f1-0000-7000-8000-00000000ffff']) {
        await expect(watch('Bob', `(after: "${after}")`)).rejects.toMatchObject({ originalError: { code: 'BAD_USER_INPUT' } });
      }
    });
  });

  const countsOf = async (day: string) => (await ledger.rows<{ assignments: number; completions: number; deletions: number }>('select assignments, completions, deletions from day_closings where day = $1', [day]))[0] ?? {};

  /** The database, whose statements are counted. */
  function counting(database: Database): Database {
    const counted = (sql: Sql): Sql =>
      Object.assign(
        <Row>(text: string, params?: readonly unknown[]) => {
          statements += 1;
          return sql<Row>(text, params);
        },
        { later: sql.later },
      );
    return { ...database, sql: counted(database.sql), sqlTransaction: (work) => database.sqlTransaction((sql) => work(counted(sql))) };
  }
});
