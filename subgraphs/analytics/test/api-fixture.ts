import { readFileSync } from 'node:fs';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { openDatabase, type Database, type Sql } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { Viewer } from '@ates/service-kit/viewer';
import { accountChargedV1, accountPaidV1, accountReversedV1, accountRewardedV1, dayClosedV1, taskPricedV1, type EntryKind } from '@ates/shared-events/accounting-events';
import type { AtesEvent, PublishedAtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent } from '@ates/shared-events/event';
import { taskAssignedV1, taskCompletedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { userCreatedV1 } from '@ates/shared-events/user-events';
import { graphql, parse, subscribe } from 'graphql';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase } from '../../../scripts/test-service.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { analyticsContext, type AnalyticsServices } from '../src/analytics-context.ts';
import { exportLinkKey } from '../src/export-links.ts';
import { readDays, type DayStats } from '../src/day-stats.ts';
import { createLiveStats, type LiveStats } from '../src/live-stats.ts';
import { reactToEvents } from '../src/reactions.ts';
import { analyticsResolvers } from '../src/resolvers.ts';

export const LOGGER = createLogger('analytics', 'silent');
export const SECRET = 'the secret of the gateway of this test';
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';

/** An entry as Accounting would post it. */
export interface Posted {
  readonly kind: EntryKind;
  readonly amount: number;
  readonly day: string;
  readonly at?: string;
  readonly taskId?: string | null;
  readonly description?: string;
}

/** Analytics' part of the API over one database, without HTTP: so the statements of a request can be counted. */
export interface TestModel {
  readonly database: Database;
  readonly live: LiveStats;
  /** What the code under test takes for now and for the current business day. */
  now: Date;
  day: string;
  /** One transaction, as the consumer would make it of these events. */
  apply(...events: AtesEvent[]): Promise<readonly string[]>;
  /** An employee whose name is known. */
  hire(name: string): Promise<string>;
  entry(employeeId: string, posted: Posted): AtesEvent;
  /** A task with its price, assigned and completed on a day. */
  done(task: { readonly day: string; readonly reward: number; readonly at?: string; readonly title?: string }): { readonly taskId: string; readonly events: AtesEvent[] };
  closed(day: string, figures: { readonly assignments: number; readonly completions: number; readonly companyEarnings: number; readonly paidOut: number; readonly paidEmployees: number; readonly employeesInTheRed: number }): AtesEvent;
  ask(source: string, roles?: readonly string[]): Promise<any>;
  codeOf(source: string, roles?: readonly string[]): Promise<unknown>;
  statementsOf(source: string): Promise<number>;
  watch(source: string, roles?: readonly string[]): Promise<AsyncIterator<any>>;
  close(): Promise<void>;
}

const viewerOf = (roles: readonly string[]): Viewer | null =>
  roles.length === 0 ? null : ({ userId: uuidv7(), roles, assurance: 'full', expiresAt: new Date('2100-01-01'), rolesAreCurrent: true } as unknown as Viewer);

const ENTRY_EVENTS = { FEE: accountChargedV1, REWARD: accountRewardedV1, REVERSAL: accountReversedV1, PAYOUT: accountPaidV1 };

export async function openModel(): Promise<TestModel> {
  const tables = await createTestDatabase('analytics');
  const real = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: LOGGER });
  const { database, count } = counted(real);
  const currentDay = () => Promise.resolve(model.day);
  const live = createLiveStats({ currentDay, read: async (day) => (await readDays(database.sql, [day]))[0] as DayStats, logger: LOGGER, dayLookMs: 20 });
  const services: AnalyticsServices = { database, live, currentDay, clock: () => model.now, linkKey: exportLinkKey(SECRET) };
  const schema = buildSubgraphSchema({ typeDefs: parse(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8')), resolvers: analyticsResolvers(services) as never });
  const answer = (source: string, roles: readonly string[]) => graphql({ schema, source, contextValue: analyticsContext(services, viewerOf(roles)) });
  let number = 0;
  const occurrence = { time: new Date('2026-11-20T10:00:00Z'), traceparent: TRACEPARENT };
  const model: TestModel = {
    database: real,
    live,
    now: new Date('2026-11-20T10:00:00Z'),
    day: '2026-11-20',
    apply: async (...events) => (await real.sqlTransaction((sql) => reactToEvents(sql, 'UTC', events as PublishedAtesEvent[]))).days,
    hire: async (name) => {
      const id = uuidv7();
      await model.apply(newEvent(userCreatedV1, id, { version: 1, name, email: `${id}@ates.test`, roles: ['EMPLOYEE'], status: 'ACTIVE' }, occurrence));
      return id;
    },
    entry: (ownerId, { kind, amount, day, at = `${day}T12:00:00.000Z`, taskId = null, description = `${kind} of a test` }) => {
      const entry = { id: uuidv7(), kind, amount: cents(amount), balanceAfter: cents(0), description, taskId, businessDay: day, postedAt: at };
      const more = { ...(kind === 'REVERSAL' && { reversedEntryId: uuidv7(), reason: 'a test' }), ...(kind === 'PAYOUT' && { payoutId: uuidv7() }) };
      return newEvent(ENTRY_EVENTS[kind] as typeof accountChargedV1, uuidv7(), { version: 1, ownerId, entry, ...more }, occurrence);
    },
    done: ({ day, reward, at = `${day}T12:00:00.000Z`, title = 'Feed the parrot' }) => {
      const [taskId, assigneeId] = [uuidv7(), uuidv7()];
      const task = { version: 1, number: (number += 1), ticket: null, title, description: '', status: 'OPEN' as const, creatorId: assigneeId, createdAt: at };
      return {
        taskId,
        events: [
          newEvent(taskCreatedV2, taskId, task, occurrence),
          newEvent(taskAssignedV1, taskId, { version: 2, assignmentNumber: 1, assigneeId, previousAssigneeId: null, businessDay: day, assignedAt: at }, occurrence),
          newEvent(taskCompletedV1, taskId, { version: 3, assignmentNumber: 1, assigneeId, businessDay: day, completedAt: at }, occurrence),
          newEvent(taskPricedV1, taskId, { version: 1, fee: cents(10_00), reward: cents(reward), pricedAt: at }, occurrence),
        ],
      };
    },
    closed: (businessDay, { companyEarnings, paidOut, ...figures }) =>
      newEvent(
        dayClosedV1,
        uuidv7(),
        { version: 1, businessDay, closedAt: `${businessDay}T23:59:59.000Z`, companyEarnings: cents(companyEarnings), paidOut: cents(paidOut), carriedOver: cents(0), ...figures },
        occurrence,
      ),
    ask: async (source, roles = ['ADMIN']) => {
      const { data, errors } = await answer(source, roles);
      if (errors !== undefined) throw new Error(JSON.stringify(errors), { cause: errors[0]?.originalError });
      return JSON.parse(JSON.stringify(data));
    },
    codeOf: async (source, roles = ['ADMIN']) => {
      const [error] = (await answer(source, roles)).errors ?? [];
      return (error?.originalError as { code?: string } | undefined)?.code ?? error?.extensions['code'];
    },
    statementsOf: async (source) => {
      const before = count();
      await model.ask(source);
      return count() - before;
    },
    watch: async (source, roles = ['ADMIN']) => {
      const stream = await subscribe({ schema, document: parse(source), contextValue: analyticsContext(services, viewerOf(roles)) });
      if (!(Symbol.asyncIterator in stream)) throw stream.errors?.[0] ?? new Error('no stream');
      return stream[Symbol.asyncIterator]() as AsyncIterator<any>;
    },
    close: async () => {
      live.stop();
      await real.close();
      await tables.drop();
    },
  };
  return model;
}

/** The database, whose statements are counted. */
function counted(database: Database): { readonly database: Database; readonly count: () => number } {
  let statements = 0;
  const counting = (sql: Sql): Sql =>
    Object.assign(
      <Row>(text: string, params?: readonly unknown[]) => {
        statements += 1;
        return sql<Row>(text, params);
      },
      {
        later: (text: string, params?: readonly unknown[]) => {
          statements += 1;
          return sql.later(text, params);
        },
      },
    );
  return {
    database: { ...database, sql: counting(database.sql), sqlTransaction: (work) => database.sqlTransaction((sql) => work(counting(sql))) },
    count: () => statements,
  };
}
