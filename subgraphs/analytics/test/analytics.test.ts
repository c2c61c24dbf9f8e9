import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { ensureStream } from '@ates/shared-events/streams';
import { v7 as uuidv7 } from 'uuid';
import { eventually, startTestService, type TestService } from '../../../scripts/test-service.ts';

const STATS = '{ day companyEarnings popugsInTheRed assigned completed signIns deniedSignIns mostExpensiveTask { reward completedAt from to task { id number ticket title reward } } }';
const fixture = (dataschema: string): any => JSON.parse(readFileSync(new URL(`../../../shared-events/fixtures/${dataschema}.json`, import.meta.url), 'utf8'));

describe('Analytics', () => {
  let analytics: TestService;
  let admin: string;
  beforeAll(async () => {
    analytics = await startTestService('analytics', { BUSINESS_TIME_ZONE: 'Pacific/Auckland' });
    admin = await analytics.token({ id: uuidv7(), roles: ['ADMIN'] });
    for (const producer of ['users', 'tasks', 'accounting'] as const) await ensureStream(await jetstreamManager(analytics.nats), producer);
  });
  afterAll(() => analytics?.stop());

  const stats = async (day: string) => (await analytics.gql(`query ($day: Date) { dayStats(day: $day) ${STATS} }`, { day }, admin)).data['dayStats'];
  const codeOf = (answer: { errors?: readonly { extensions: { code: string } }[] }) => answer.errors?.[0]?.extensions.code;
  const story = (day: string, created = 'task.created.v2') => {
    const [taskId, employeeId, accountId, entries] = [uuidv7(), uuidv7(), uuidv7(), [uuidv7(), uuidv7()]];
    const event = (dataschema: string, subject: string, version: number, data: object) => {
      const stored = fixture(dataschema);
      return { ...stored, id: uuidv7(), subject, data: { ...stored.data, ...data, version } };
    };
    const entry = (id: string, fields: object) => ({ ownerId: employeeId, entry: { ...fixture('account.charged.v1').data.entry, id, taskId, businessDay: day, ...fields } });
    return {
      taskId,
      tasks: [
        event(created, taskId, 1, {}),
        event('task.assigned.v1', taskId, 2, { assigneeId: employeeId, businessDay: day }),
        event('task.completed.v1', taskId, 3, { assigneeId: employeeId, businessDay: day }),
      ],
      accounting: [
        event('task.priced.v1', taskId, 1, {}),
        event('account.charged.v1', accountId, 1, entry(entries[0] as string, { amount: -1_250, balanceAfter: -1_250 })),
        event('account.rewarded.v1', accountId, 2, entry(entries[1] as string, { kind: 'REWARD', amount: 3_100, balanceAfter: 1_850 })),
      ],
    };
  };

  test.each([
    ['2026-11-10', 'task.created.v2'],
    ['2026-11-08', 'task.created.v1'],
  ])('a day (%s, whose task came as %s) is counted from the events: earnings, assignments, completions, the most expensive task', async (day, created) => {
    const { taskId, tasks, accounting } = story(day, created);
    for (const event of [...tasks, ...accounting]) await analytics.publish(event);
    await eventually(async () => {
      const { mostExpensiveTask, companyEarnings } = await stats(day);
      return mostExpensiveTask !== null && companyEarnings === -1_850;
    });
    expect(await stats(day)).toMatchObject({
      day,
      popugsInTheRed: 0,
      assigned: 1,
      completed: 1,
      mostExpensiveTask: { reward: 3_100, from: day, to: day, task: { id: taskId, number: 17, ticket: 'POPUG-12', title: 'Feed the parrot', reward: 3_100 } },
    });
  });

  test('streams that come in another order, and doubled, give the same day', async () => {
    const { tasks, accounting } = story('2026-11-11');
    for (const event of [...accounting, ...accounting, ...tasks, ...tasks]) await analytics.publish(event);
    // Streams and partitions come in no order among themselves.
    await eventually(async () => {
      const { mostExpensiveTask, companyEarnings, completed } = await stats('2026-11-11');
      return mostExpensiveTask !== null && companyEarnings !== 0 && completed === 1;
    });
    expect(await stats('2026-11-11')).toMatchObject({ companyEarnings: -1_850, assigned: 1, completed: 1 });
  });

  test('a fee that is given back is no earning, and a task that is renamed has its new name, also within one batch', async () => {
    const day = '2026-11-16';
    const { taskId, tasks, accounting } = story(day);
    const [created, assigned, completed] = tasks as [any, any, any];
    const updated = { ...fixture('task.updated.v1'), id: uuidv7(), subject: taskId, data: { ...fixture('task.updated.v1').data, version: 4, title: 'Feed the cat' } };
    const charged = accounting[1];
    const entry = { ...charged.data.entry, id: uuidv7(), kind: 'REVERSAL', amount: 1_250, balanceAfter: 0 };
    const reversed = { ...fixture('account.reversed.v1'), id: uuidv7(), subject: charged.subject, data: { ...charged.data, version: 3, entry, reversedEntryId: charged.data.entry.id, reason: 'a test' } };
    for (const event of [...accounting, reversed, created, assigned, completed, updated]) await analytics.publish(event);
    await eventually(async () => {
      const { mostExpensiveTask, companyEarnings } = await stats(day);
      return mostExpensiveTask?.task.title === 'Feed the cat' && companyEarnings === -3_100;
    });
    expect(await analytics.sql('select kind, amount::int from audit_entries where day = $1 order by amount', [day])).toEqual([
      { kind: 'FEE', amount: -1_250 },
      { kind: 'REVERSAL', amount: 1_250 },
      { kind: 'REWARD', amount: 3_100 },
    ]);
  });

  test('an employee below zero is in the red from that day on, until they are not', async () => {
    const { accounting } = story('2026-11-12');
    const [priced, charged, rewarded] = accounting;
    await analytics.publish(priced);
    await analytics.publish(charged);
    await eventually(async () => (await stats('2026-11-12')).popugsInTheRed === 1);
    expect((await stats('2026-11-13')).popugsInTheRed).toBe(1);
    expect((await stats('2026-11-09')).popugsInTheRed).toBe(0);
    await analytics.publish({ ...rewarded, data: { ...rewarded.data, entry: { ...rewarded.data.entry, businessDay: '2026-11-13' } } });
    await eventually(async () => (await stats('2026-11-13')).popugsInTheRed === 0);
    expect((await stats('2026-11-12')).popugsInTheRed).toBe(1);
  });

  test('sign-ins and denied ones are counted on their day in the business time zone', async () => {
    // 11:30 UTC is half past midnight of the next day in Auckland.
    for (const dataschema of ['user.authenticated.v1', 'user.denied.v1', 'user.denied.v1']) {
      const stored = fixture(dataschema);
      await analytics.publish({ ...stored, id: uuidv7(), subject: uuidv7(), data: { ...stored.data, attemptedAt: '2026-11-14T11:30:00.000Z' } });
    }
    await eventually(async () => (await stats('2026-11-15')).deniedSignIns === 2);
    expect(await stats('2026-11-15')).toMatchObject({ signIns: 1, deniedSignIns: 2 });
    expect(await stats('2026-11-14')).toMatchObject({ signIns: 0, deniedSignIns: 0 });
  });

  test('the audit log is listed, and given out as a file by a link that needs no token', async () => {
    const day = '2026-11-18';
    const { accounting } = story(day);
    for (const event of accounting) await analytics.publish(event);
    const LOG = 'query ($day: Date) { auditLog(filter: { day: $day }) { edges { node { kind amount employee { name } } } } }';
    const entries = await eventually(async () => {
      const { edges } = (await analytics.gql(LOG, { day }, admin)).data['auditLog'];
      return edges.length === 2 && edges.map(({ node }: any) => node);
    });
    expect(new Set(entries)).toEqual(new Set([
      { kind: 'FEE', amount: -1_250, employee: { name: 'a popug not known here yet' } },
      { kind: 'REWARD', amount: 3_100, employee: { name: 'a popug not known here yet' } },
    ]));
    const { url } = (await analytics.gql('query ($day: Date!) { auditExport(fromDay: $day, toDay: $day) { url } }', { day }, admin)).data['auditExport'];
    const file = await fetch(`${analytics.url}${url}`, { headers: { 'x-gateway-secret': analytics.secret } });
    expect([file.status, (await file.text()).split('\r\n').filter((line) => line.startsWith(`${day},`)).length]).toEqual([200, 2]);
    expect((await fetch(`${analytics.url}${url}`)).status).toBe(403);
  });

  test('a day of which nothing is known has zeros', async () => {
    expect(await stats('2020-01-01')).toEqual({ day: '2020-01-01', companyEarnings: 0, popugsInTheRed: 0, assigned: 0, completed: 0, signIns: 0, deniedSignIns: 0, mostExpensiveTask: null });
  });

  test('is for admins only, by every door', async () => {
    for (const role of ['EMPLOYEE', 'MANAGER', 'ACCOUNTANT']) {
      expect(codeOf(await analytics.gql('{ dayStats { day } }', {}, await analytics.token({ id: uuidv7(), roles: [role] })))).toBe('FORBIDDEN');
    }
    expect(codeOf(await analytics.gql('{ dayStats { day } }'))).toBe('UNAUTHENTICATED');
    const low = await analytics.gql('{ dayStats { day } }', {}, await analytics.token({ id: uuidv7(), roles: ['ADMIN'], assurance: 'low' }));
    expect(low.errors?.[0]?.extensions).toEqual({ code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' });
    const r = [{ __typename: 'Task', id: uuidv7() }];
    expect(codeOf(await analytics.gql('query ($r: [_Any!]!) { _entities(representations: $r) { ... on Task { title } } }', { r }))).toBe('UNAUTHENTICATED');
  });
});
