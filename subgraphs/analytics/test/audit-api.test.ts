import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp, listen, type RunningHttpServer } from '@ates/service-kit/http-server';
import { createMetrics } from '@ates/service-kit/metrics';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { v7 as uuidv7 } from 'uuid';
import { serveAuditExports } from '../src/audit-export.ts';
import { boundsOf } from '../src/audit-filter.ts';
import { inPartitions, withinPartitions } from '../src/audit-log.ts';
import { amountsStatement, checkedStatement, isAlongIndex, isByAmount, piecesOf, walkStatement } from '../src/audit-walks.ts';
import { exportLinkKey } from '../src/export-links.ts';
import { LOGGER, openModel, SECRET, type TestModel } from './api-fixture.ts';

interface Entry {
  readonly id: string;
  readonly employeeId: string;
  readonly taskId: string | null;
  readonly kind: string;
  readonly amount: number;
  readonly day: string;
  readonly at: string;
}

const KINDS = ['FEE', 'REWARD', 'REVERSAL', 'PAYOUT'] as const;
const MONTHS = ['2025-12', '2026-01', '2026-02', '2026-04'];

describe('The audit log', () => {
  let model: TestModel;
  const entries: Entry[] = [];
  const people: string[] = [];
  const tasks: string[] = [];
  beforeAll(async () => {
    model = await openModel();
    for (const name of ['Ann', 'Bob', 'Cleo']) people.push(await model.hire(name));
    const events: AtesEvent[] = [];
    for (let index = 0; index < 5; index += 1) {
      const { taskId, events: ofTask } = model.done({ day: '2026-01-05', reward: 20_00, title: `Task ${index}` });
      tasks.push(taskId);
      events.push(...ofTask);
    }
    for (let index = 0; index < 240; index += 1) {
      const kind = KINDS[index % 7 === 0 ? 3 : index % 3] as (typeof KINDS)[number];
      const day = `${MONTHS[index % 4]}-${String(1 + ((index * 5) % 6)).padStart(2, '0')}`;
      // Some at the same moment, some posted in another order than their days.
      const posted = { kind, amount: (kind === 'FEE' || kind === 'PAYOUT' ? -1 : 1) * (10_00 + ((index * 37) % 50)), day, at: `2026-05-01T10:00:${String(index % 20).padStart(2, '0')}.000Z`, taskId: kind === 'PAYOUT' ? null : (tasks[index % 5] as string) };
      const event = model.entry(people[index % 3] as string, posted);
      events.push(event);
      const { entry, ownerId } = (event as any).data;
      entries.push({ id: entry.id, employeeId: ownerId, ...posted });
    }
    await model.apply(...events);
    entries.sort((one, other) => (one.day === other.day ? (one.at === other.at ? (one.id < other.id ? 1 : -1) : one.at < other.at ? 1 : -1) : one.day < other.day ? 1 : -1));
  });
  afterAll(() => model?.close());

  /** All pages of a filter, one after the other. */
  const list = async (filter: string, first = 7): Promise<{ ids: string[]; pages: number }> => {
    const ids: string[] = [];
    for (let after = '', pages = 1; ; pages += 1) {
      const { auditLog } = await model.ask(`{ auditLog(filter: ${filter}, first: ${first}${after}) { edges { node { id } } pageInfo { hasNextPage endCursor } } }`);
      ids.push(...auditLog.edges.map(({ node }: any) => node.id));
      if (!auditLog.pageInfo.hasNextPage) return { ids, pages };
      after = `, after: "${auditLog.pageInfo.endCursor}"`;
    }
  };

  test('tells the newest entry first: when, to whom, how much, for which task', async () => {
    const { auditLog } = await model.ask('{ auditLog(first: 3) { edges { node { id occurredAt day kind amount description employee { id name } task { id title } } } pageInfo { hasNextPage } } }');
    expect(auditLog).toEqual({
      edges: entries.slice(0, 3).map(({ id, at, day, kind, amount, employeeId, taskId }) => ({
        node: {
          id, occurredAt: at, day, kind, amount, description: `${kind} of a test`,
          employee: { id: employeeId, name: ['Ann', 'Bob', 'Cleo'][people.indexOf(employeeId)] },
          task: taskId === null ? null : { id: taskId, title: `Task ${tasks.indexOf(taskId)}` },
        },
      })),
      pageInfo: { hasNextPage: true },
    });
  });

  test('whatever is filtered by, all pages together have what the filter lets through, once and in order', async () => {
    const conditions: { [name: string]: [string, (entry: Entry) => boolean] } = {
      day: ['day: "2026-02-03"', ({ day }) => day === '2026-02-03'],
      from: ['fromDay: "2026-01-03"', ({ day }) => day >= '2026-01-03'],
      to: ['toDay: "2026-02-02"', ({ day }) => day <= '2026-02-02'],
      employee: [`employeeId: "${people[1]}"`, ({ employeeId }) => employeeId === people[1]],
      task: [`taskId: "${tasks[2]}"`, ({ taskId }) => taskId === tasks[2]],
      kind: ['kind: PAYOUT', ({ kind }) => kind === 'PAYOUT'],
      fees: ['kind: FEE', ({ kind }) => kind === 'FEE'],
      least: ['amountFrom: 1010', ({ amount }) => amount >= 10_10],
      most: ['amountTo: 1030', ({ amount }) => amount <= 10_30],
    };
    const names = Object.keys(conditions);
    const combinations = [[], ...names.map((name) => [name]), ...names.flatMap((one, place) => names.slice(place + 1).map((other) => [one, other])), ['from', 'to', 'employee', 'kind'], ['from', 'task', 'least', 'most'], ['from', 'to', 'least', 'most']];
    for (const combination of combinations.filter((each) => !(each.includes('kind') && each.includes('fees')))) {
      const expected = entries.filter((entry) => combination.every((name) => conditions[name]?.[1](entry))).map(({ id }) => id);
      expect([combination, (await list(`{ ${combination.map((name) => conditions[name]?.[0]).join(', ')} }`)).ids]).toEqual([combination, expected]);
    }
  }, 60_000);

  test('what can’t be found is no page, and no error', async () => {
    for (const filter of ['{ employeeId: "nobody" }', `{ taskId: "${uuidv7()}" }`, '{ day: "2026-01-05", fromDay: "2026-01-06" }', '{ fromDay: "9999-12-31" }', '{ toDay: "0001-01-01", amountFrom: 1 }', '{ day: "2026-03-15" }']) {
      expect([filter, await list(filter)]).toEqual([filter, { ids: [], pages: 1 }]);
    }
  });

  test.each([
    ['filter: { fromDay: "2026-01-02", toDay: "2026-01-01" }'],
    ['filter: { amountFrom: 2, amountTo: 1 }'],
    ['filter: { day: "0000-01-01" }'],
    ['first: 0'],
    ['first: 101'],
    ['after: "nothing"'],
    [`after: "${Buffer.from('["2026-01-01","now","x"]').toString('base64url')}"`],
    [`after: "${Buffer.from('["2026-02-31","2026-01-01T00:00:00.000000Z","01a1f8f1-0000-7000-8000-00000000ffff"]').toString('base64url')}"`],
  ])('%s is bad input', async (given) => {
    expect(await model.codeOf(`{ auditLog(${given}) { edges { cursor } } }`)).toBe('BAD_USER_INPUT');
  });

  test('an entry in a month without a partition is there too', async () => {
    const before = (await list('{}', 100)).ids;
    const id = uuidv7();
    await model.database.sql(`insert into audit_entries values ('1999-12-31', '1999-12-31T12:00:00Z', $1, 'FEE', -1000, 'long ago', $2, null)`, [id, people[0]]);
    expect((await list('{}', 100)).ids).toEqual([...before, id]);
    expect((await list('{ toDay: "2000-01-01" }')).ids).toEqual([id]);
    await model.database.sql(`delete from audit_entries where entry_id = $1`, [id]);
  });

  test('moments closer than a millisecond are not taken for one', async () => {
    const ids = Array.from({ length: 6 }, () => uuidv7()).toSorted();
    await model.database.sql(
      `insert into audit_entries select '2026-04-20', timestamptz '2026-04-20T12:00:00Z' + interval '1 microsecond' * place, id, 'FEE', -1000, '', $2, null from unnest($1::uuid[]) with ordinality as made (id, place)`,
      [ids, people[0]],
    );
    expect((await list('{ day: "2026-04-20" }', 2)).ids).toEqual(ids.toReversed());
    await model.database.sql(`delete from audit_entries where day = '2026-04-20'`);
  });

  test('a page is read from the newest partition backwards, along an index, from one partition, then from five, then from all before', async () => {
    const other = await openModel();
    await other.database.sql(`select make_partitions('2023-01-01', '2026-12-31', 'public')`);
    await other.database.sql(`insert into audit_entries select date '2023-01-01' + place % 1430, timestamptz '2023-01-01T00:00:00Z' + interval '1 minute' * place, uuidv7(), 'FEE', -1000, '', $1, $2 from generate_series(1, 20000) as place`, [people[0], tasks[0]]);
    const after = { day: '2024-05-05', at: '2024-05-05T00:00:00.000000Z', id: uuidv7() };
    const { sql } = other.database;
    const filters = [{}, { kind: 'FEE' as const }, { employeeId: people[0] as string }, { taskId: tasks[0] as string }];
    const compared = filters.map((filter) => ({ ...filter, amountFrom: 0 }));
    for (const filter of [...filters, ...compared]) {
      // The newest partitions have nothing yet.
      for (const [place, given] of [[null, filter], [after, filter], [null, { ...filter, fromDay: '2024-05-01', toDay: '2024-05-31' }]] as const) {
        const pieces = [...piecesOf(await withinPartitions(sql, boundsOf(given)), place)];
        const partitions: number[] = [];
        for (const bounds of pieces) {
          const asked = { filter, bounds, after: place, limit: 21, looks: 1_000 };
          const { text, params } = isAlongIndex(filter) ? walkStatement(asked) : isByAmount(filter) ? amountsStatement(asked) : checkedStatement(asked);
          const plan = await inPartitions(other.database, async (within) =>
            (await within<{ 'QUERY PLAN': string }>(`explain (analyze, costs off, timing off, summary off) ${text}`, params)).map((row) => row['QUERY PLAN']),
          );
          const scans = plan.filter((line) => / on audit_entries_/.test(line));
          expect(plan.filter((line) => /Merge Append|Bitmap|Seq Scan|_others/.test(line))).toEqual([]);
          expect(scans.filter((line) => !/Index (?:Only )?Scan/.test(line))).toEqual([]);
          if (isAlongIndex(filter)) expect(plan.filter((line) => line.includes('Sort'))).toEqual([]);
          partitions.push(new Set(scans.map((line) => / on (audit_entries_\d{4}_\d\d)/.exec(line)?.[1])).size);
        }
        expect(partitions.every((count, index) => count <= ([1, 5][index] ?? count))).toBe(true);
        expect(partitions.length).toBeLessThanOrEqual(3);
      }
    }
    await other.close();
  }, 60_000);

  test('a page looks at a bounded number of entries, and goes on behind them', async () => {
    const [employee, day] = [uuidv7(), '2026-04-25'];
    await model.database.sql(
      `insert into audit_entries select $2::date, timestamptz '2026-04-25T00:00:00Z' + interval '1 second' * place, uuidv7(), 'FEE', case when place in (100, 4200) then -1999 else -1000 end, '', $1, null
       from generate_series(1, 4500) as place`,
      [employee, day],
    );
    const { ids, pages } = await list(`{ employeeId: "${employee}", amountTo: -1500 }`);
    expect([ids.length, pages]).toEqual([2, 5]);
    // Few by their amounts: nothing has to be walked.
    expect(await list(`{ day: "${day}", amountTo: -1500 }`)).toEqual({ ids, pages: 1 });
    expect((await list(`{ day: "${day}", amountTo: -900, kind: FEE }`, 100)).ids).toHaveLength(4_500);
    await model.database.sql('delete from audit_entries where employee_id = $1', [employee]);
  }, 30_000);
});

describe('An export of the audit log', () => {
  let model: TestModel;
  let server: RunningHttpServer;
  beforeAll(async () => {
    model = await openModel();
    const app = createHttpApp(createHealth(), createMetrics('analytics'));
    serveAuditExports(app, { database: model.database, gatewaySecret: SECRET, key: exportLinkKey(SECRET), clock: () => model.now, logger: LOGGER });
    server = await listen(app, '127.0.0.1', 0);
  });
  afterAll(async () => {
    await server?.stop();
    await model?.close();
  });

  const linkTo = async (fromDay: string, toDay: string): Promise<string> => (await model.ask(`{ auditExport(fromDay: "${fromDay}", toDay: "${toDay}") { url expiresAt } }`)).auditExport.url;
  const get = (url: string, init: RequestInit = { headers: { 'x-gateway-secret': SECRET } }) => fetch(`http://127.0.0.1:${server.port}${url}`, init);
  // Response.text would take the byte order mark away.
  const read = async (fromDay: string, toDay: string): Promise<string> => Buffer.from(await (await get(await linkTo(fromDay, toDay))).arrayBuffer()).toString();
  const HEAD = '\uFEFFday,time,kind,amount,description,employee id,employee name,task number,entry id\r\n';

  test('is a file of what was posted on its days, the oldest first, which no spreadsheet takes for formulas', async () => {
    const employee = await model.hire('=Ann "the\r\nclaw", Popug');
    const stranger = uuidv7();
    const { taskId, events } = model.done({ day: '2026-02-01', reward: 20_00 });
    const posted = [
      model.entry(employee, { kind: 'FEE', amount: -10_05, day: '2026-01-31', taskId, description: 'Fee, "the first"' }),
      model.entry(stranger, { kind: 'REWARD', amount: 5, day: '2026-02-01', taskId: uuidv7(), description: '-1+cmd|x' }),
      model.entry(stranger, { kind: 'PAYOUT', amount: -123_456_789_00, day: '2026-02-02', at: '2026-02-02T12:00:00.120Z', description: '＝SUM(A1)' }),
      model.entry(stranger, { kind: 'FEE', amount: -1, day: '2026-02-03' }),
    ];
    await model.apply(...posted.toReversed(), ...events);
    const ids = posted.map(({ data }: any) => data.entry.id);
    expect(await read('2026-01-31', '2026-02-02')).toBe(
      [
        HEAD,
        `2026-01-31,2026-01-31T12:00:00.000Z,FEE,-10.05,"Fee, ""the first""",${employee},"'=Ann ""the\r\nclaw"", Popug",POPUG-1,${ids[0]}\r\n`,
        `2026-02-01,2026-02-01T12:00:00.000Z,REWARD,0.05,"'-1+cmd|x",${stranger},"a popug not known here yet",,${ids[1]}\r\n`,
        `2026-02-02,2026-02-02T12:00:00.120Z,PAYOUT,-123456789.00,"'＝SUM(A1)",${stranger},"a popug not known here yet",,${ids[2]}\r\n`,
      ].join(''),
    );
    expect(await read('2020-01-01', '2020-01-02')).toBe(HEAD);
    expect(await read('9999-01-01', '9999-01-02')).toBe(HEAD);
  });

  test('of more than one page has each entry once', async () => {
    await model.database.sql(
      `insert into audit_entries select date '2026-03-01' + place % 40, timestamptz '2026-03-01T00:00:00Z' + interval '1 microsecond' * (place / 3), uuidv7(), 'FEE', -1000, '', uuidv7(), null from generate_series(0, 12344) as place`,
    );
    const [{ ids } = { ids: [] }] = await model.database.sql<{ ids: string[] }>(`select array_agg(entry_id::text order by day, posted_at, entry_id) as ids from audit_entries where day between '2026-03-01' and '2026-04-30'`);
    const lines = (await read('2026-03-01', '2026-04-30')).trimEnd().split('\r\n').slice(1);
    expect(lines.map((line) => line.split(',').at(-1))).toEqual(ids);
    expect(lines).toHaveLength(12_345);
  }, 30_000);

  test('says what it is, to the gateway alone', async () => {
    const url = await linkTo('2026-01-01', '2026-12-31');
    expect(url).toMatch(/^\/exports\/[\w-]{64}\/audit-2026-01-01-2026-12-31\.csv$/);
    const head = await get(url, { method: 'HEAD', headers: { 'x-gateway-secret': SECRET } });
    expect([head.status, head.headers.get('content-type'), head.headers.get('content-disposition')]).toEqual([200, 'text/csv; charset=utf-8; header=present', 'attachment; filename="audit-2026-01-01-2026-12-31.csv"']);
    expect((await get(url, {})).status).toBe(403);
  });

  test('is had by whoever has the link as it was made, for five minutes', async () => {
    const { auditExport } = await model.ask('{ auditExport(fromDay: "2026-01-01", toDay: "2026-01-02") { url expiresAt } }');
    const { url } = auditExport;
    expect(auditExport.expiresAt).toBe(new Date(model.now.getTime() + 300_000).toISOString());
    for (const damaged of [url.replace('2026-01-02', '2026-01-03'), url.replace(/^(.exports.)./, '$1_'), url.replace(/^(.exports.)./, '$1')]) expect((await get(damaged)).status).toBe(404);
    const before = model.now;
    model.now = new Date(before.getTime() + 300_000);
    const late = await get(url);
    expect([late.status, await late.json()]).toEqual([410, { errors: [{ message: 'This link has expired, links are good for 5 minutes: ask for a new link', extensions: { code: 'NOT_FOUND' } }] }]);
    model.now = before;
    for (const range of ['fromDay: "2026-01-02", toDay: "2026-01-01"', 'fromDay: "0000-01-02", toDay: "2026-01-01"']) expect(await model.codeOf(`{ auditExport(${range}) { url } }`)).toBe('BAD_USER_INPUT');
  });
});
