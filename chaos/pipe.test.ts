import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { violations } from './audit.ts';
import { FAULTS } from './faults.ts';
import { auditHouse, runChaos, type ChaosRun } from './run.ts';

const SEED = 20_261_121;
const RUN_MS = 240_000;

describe('the event pipe under load, while every part of it is killed, frozen or robbed of its store', () => {
  const interrupted = new AbortController();
  let run: ChaosRun;
  beforeAll(async () => {
    const lines: string[] = [];
    run = await runChaos({
      events: 10_000,
      kills: 7,
      rate: 350,
      seed: SEED,
      freezeMaxMs: 6_000,
      backWithinMs: 60_000,
      drainWithinMs: 60_000,
      tell: (line) => void lines.push(line),
      signal: interrupted.signal,
    }).catch((error: unknown) => {
      throw new Error(`The run failed:\n${lines.join('\n')}`, { cause: error });
    });
  }, RUN_MS);
  afterAll(async () => {
    interrupted.abort(new Error('the test is over'));
    await run?.house.close({ keep: false });
  }, 30_000);

  test('nothing is lost, doubled or inverted, and everything comes to rest', () => {
    const { report } = run;
    expect(report.violations).toEqual([]);
    expect(report.events).toBe(10_000);
    expect(report.postings).toBeGreaterThan(7_000);
    expect(report.findings.filter(({ name }) => ['lost', 'doubled', 'inverted'].includes(name))).toHaveLength(3);
    expect(new Set(report.faults.map(({ fault }) => fault))).toEqual(new Set(FAULTS));
    expect(report.load.counts.rolledBack).toBeGreaterThan(0);
    expect(report.load.counts.held).toBeGreaterThan(0);
  });

  /** The findings about a copy of Accounting's database that was tampered with, behind its triggers. */
  const findingsAfter = async (...statements: readonly string[]): Promise<Record<string, number>> => {
    const { house, report } = run;
    await house.rows('postgres', 'drop database if exists tampered with (force)');
    await house.rows('postgres', 'create database tampered template accounting');
    const client = new pg.Client({ connectionString: house.databaseUrl('tampered') });
    await client.connect();
    try {
      await client.query('set session_replication_role = replica');
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
    return Object.fromEntries(violations(await auditHouse(house, report.load.written, 'tampered')).map(({ name, count }) => [name, count]));
  };
  const COMPANY = `(select id from accounts where kind = 'COMPANY')`;
  const SOME_FEE = `(select id from postings where kind = 'FEE' order by id limit 1)`;
  /** The company's entries of two fees of one task, of the same amount therefore. */
  const PAIR = `
    select one.id as one, other.id as other, one.posting_id as posting_of_one, other.posting_id as posting_of_other
    from postings as first join entries as one on one.posting_id = first.id and one.account_id = ${COMPANY}
    join postings as second on second.task_id = first.task_id and second.id <> first.id and second.kind = 'FEE' and second.cause = 'fee/' || second.task_id || '/2'
    join entries as other on other.posting_id = second.id and other.account_id = ${COMPANY}
    where first.kind = 'FEE' and first.cause = 'fee/' || first.task_id || '/1' order by first.id limit 1`;

  test('an audit of an untouched copy finds nothing', async () => {
    expect(await findingsAfter()).toEqual({});
  });

  test('a posting that is missing is seen as lost', async () => {
    expect(await findingsAfter(`delete from entries where posting_id = ${SOME_FEE}`, `delete from postings where id = ${SOME_FEE}`)).toMatchObject({ lost: 1 });
  });

  test('a posting that is there twice is seen as doubled', async () => {
    const found = await findingsAfter(
      'alter table postings drop constraint postings_cause_key',
      `insert into postings select uuidv7(), kind, cause, from_account, to_account, amount, task_id, business_day, description, posted_at from postings where id = ${SOME_FEE}`,
    );
    expect(found).toMatchObject({ doubled: 1, 'postings without their two entries': 1 });
  });

  test('two postings of a task in the wrong order are seen as inverted, even though every sum is right', async () => {
    const swap = `with pair as (${PAIR})
      update entries set posting_id = case id when pair.one then pair.posting_of_other else pair.posting_of_one end from pair where id in (pair.one, pair.other)`;
    expect(await findingsAfter('alter table entries drop constraint entries_posting_id_side_key', swap)).toEqual({ inverted: expect.any(Number) });
  });

  test('a posting to somebody else, or of another amount, is seen', async () => {
    const found = await findingsAfter(`update postings set amount = amount + 1 where id = ${SOME_FEE}`);
    expect(found).toMatchObject({ 'posted otherwise than the event says': 1, 'postings without their two entries': 1 });
  });

  test('an entry that is missing from an account is seen in chain, sum and balance', async () => {
    const found = await findingsAfter(`delete from entries where account_id = ${COMPANY} and number = 5`);
    expect(found).toMatchObject({
      'all entries do not sum to zero': 1,
      'postings without their two entries': 1,
      'entries that do not follow the one before': 1,
      'balances that are not the sum of their entries': 1,
    });
  });

  test('what the consumer still keeps, parks or forgot is seen', async () => {
    const found = await findingsAfter(
      `insert into inbox_waiting select source, aggregate_id, version + 2, '{}' from inbox_versions limit 1`,
      `insert into parked_events (source, message_key, reason, message) values ('/tasks', 'TASKS:1', 'unreadable', '')`,
      `update inbox_versions set version = version - 1 where aggregate_id = (select aggregate_id from inbox_versions where source = '/tasks' limit 1)`,
      'delete from inbox where event_id = (select event_id from inbox limit 1)',
    );
    expect(found).toMatchObject({ waiting: 1, parked: 1, 'known to another version than the outbox has': 1, 'not received': 1 });
  });

  test('an event of Accounting that its stream does not have, or has elsewhere, is seen', async () => {
    const found = await findingsAfter(
      `insert into outbox (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data)
       select uuidv7(), aggregate_id, max(version) + 10, 'account.balance_changed', 'account.balance_changed.v1', now(), '', '{}' from outbox where type = 'account.charged' group by aggregate_id limit 1`,
      'update outbox set stream_seq = stream_seq + 1 where stream_seq = 1',
    );
    expect(found).toMatchObject({ 'not in ACCOUNTING': 1, 'versions that do not go on by one behind ACCOUNTING': 1, 'not where the outbox has it in ACCOUNTING': 1 });
  });
});
