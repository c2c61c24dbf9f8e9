import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import PostalMime from 'postal-mime';
import WebSocket from 'ws';
import { startStack, until, type Stack } from './stack.ts';

const EMPLOYEES = ['accountant', 'ann', 'bob', 'cleo'];
const COMMAND_TIMEOUT_MS = 60_000;

/** A day from its tasks to its mails, as people see it. */
describe('A day that an admin closes', () => {
  let stack: Stack;
  let day: string;
  const tokens = new Map<string, string>();
  const balances = new Map<string, number>();
  const told: { balance: number; entry: { kind: string } }[] = [];
  let winner: string;
  const as = (name: string): string => tokens.get(name) as string;
  const ask = async (name: string, query: string, variables: object = {}): Promise<any> => {
    const { data, errors } = await stack.gql<any>(query, variables, as(name));
    if (errors !== undefined) throw new Error(`${query}: ${JSON.stringify(errors)}\n${stack.logTail()}`);
    return data;
  };
  const balanceOf = async (name: string): Promise<number> => (await ask(name, '{ myAccount { balance } }')).myAccount.balance;

  beforeAll(async () => {
    stack = await startStack();
    for (const name of [...EMPLOYEES, 'manager', 'admin']) tokens.set(name, await stack.signIn(`${name}@ates.test`));
    for (let number = 1; number <= 8; number += 1) await ask('ann', 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }', { input: { title: `Task ${number}` } });
    // Rewards are higher than fees: whoever has done all of theirs has earned something.
    for (const name of EMPLOYEES) {
      for (const { node } of (await ask(name, '{ myTasks(status: OPEN) { edges { node { id } } } }')).myTasks.edges) {
        await ask(name, 'mutation ($id: ID!) { completeTask(id: $id) { id } }', { id: node.id });
      }
    }
    await until('all is posted', 15_000, async () => {
      const { dayStats } = await ask('admin', '{ dayStats { completed companyEarnings } }');
      const { companyEarnings } = await ask('admin', '{ companyEarnings }');
      return dayStats.completed === 8 && dayStats.companyEarnings === companyEarnings;
    });
    for (const name of EMPLOYEES) balances.set(name, await balanceOf(name));
    winner = EMPLOYEES.find((name) => (balances.get(name) ?? 0) > 0) as string;
    const client = createClient({ url: stack.wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${as(winner)}` }, retryAttempts: 0 });
    client.subscribe<{ balanceChanged: (typeof told)[number] }>(
      { query: 'subscription { balanceChanged { balance entry { kind } } }' },
      { next: ({ data }) => void (data != null && told.push(data.balanceChanged)), error: () => {}, complete: () => {} },
    );
    await ask('manager', '{ me { id } }');
    ({ day } = (await ask('admin', 'mutation { closeDay { day status } }')).closeDay);
    await until('the day is closed', 20_000, async () => (await ask('accountant', 'query ($day: Date!) { dayClosing(day: $day) { status } }', { day })).dayClosing.status === 'CLOSED');
  }, 120_000);
  afterAll(() => stack?.stop());

  test('leaves every balance at zero or below, and pays out the rest', async () => {
    const { dayClosing, payouts } = await ask('accountant', 'query ($day: Date!) { dayClosing(day: $day) { companyEarnings paidOut paidEmployees carriedOver } payouts(day: $day) { edges { node { amount account { id balance owner { name email } } } } } }', { day });
    const paid = [...balances].filter(([, balance]) => balance > 0);
    expect(new Map(payouts.edges.map(({ node }: any) => [node.account.owner.email, node.amount]))).toEqual(new Map(paid.map(([name, balance]) => [`${name}@ates.test`, balance])));
    expect(payouts.edges.every(({ node }: any) => node.account.balance === 0)).toBe(true);
    const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);
    expect(dayClosing).toEqual({
      companyEarnings: -sum([...balances.values()]),
      paidOut: sum(paid.map(([, balance]) => balance)),
      paidEmployees: paid.length,
      carriedOver: sum([...balances.values()].filter((balance) => balance <= 0)),
    });
  });

  test('is seen live by who is paid', async () => {
    const payout = await until('the payout is told', 10_000, () => told.find(({ entry }) => entry.kind === 'PAYOUT'));
    expect(payout.balance).toBe(0);
  });

  test('ends early: what is done after that belongs to the next day', async () => {
    const { createTask } = await ask('ann', 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { assignee { id } } }', { input: { title: 'One more' } });
    const entry = await until('its fee is charged', 10_000, async () => {
      const { user } = await ask('admin', 'query ($id: ID!) { user(id: $id) { account { entries(first: 1) { edges { node { day kind description } } } } } }', { id: createTask.assignee.id });
      const node = user.account.entries.edges[0]?.node;
      return node?.description.includes('One more') && node;
    });
    expect(entry.day > day).toBe(true);
    const again = (await ask('admin', 'mutation ($day: Date) { closeDay(day: $day) { day status } }', { day })).closeDay;
    expect(again).toEqual({ day, status: 'CLOSED' });
  });

  test('is mailed: to everybody their payout, to managers and admins the report', async () => {
    const paid = EMPLOYEES.filter((name) => (balances.get(name) ?? 0) > 0);
    const folder = join(stack.dataDir, 'mail');
    await until('all mails are sent', 20_000, async () => {
      const { payouts } = await ask('accountant', 'query ($day: Date!) { payouts(day: $day) { edges { node { mail } } } }', { day });
      return payouts.edges.every(({ node }: any) => node.mail === 'SENT');
    });
    const files = await until('all mails are there', 20_000, () => {
      const names = readdirSync(folder).filter((name) => name.endsWith('.eml'));
      return names.length === paid.length + 2 && names;
    });
    const mails = await Promise.all(files.map((name) => PostalMime.parse(readFileSync(join(folder, name)))));
    const to = mails.flatMap(({ to: addresses }) => (addresses ?? []).map(({ address }) => address));
    expect(new Set(to)).toEqual(new Set([...paid, 'manager', 'admin'].map((name) => `${name}@ates.test`)));
    const [payout] = mails.filter(({ to: addresses }) => addresses?.[0]?.address === `${winner}@ates.test`);
    expect(payout?.messageId).toMatch(/^<payout\..*@ates\.test>$/);
    const amount = ((balances.get(winner) as number) / 100).toFixed(2);
    for (const text of [payout?.text, payout?.html]) expect(text).toContain(`$${amount}`);
  });

  test('can be read as a statement, by a link that needs no token', async () => {
    const { myAccount } = await ask(winner, 'query ($day: Date) { myAccount { csv: statement(format: CSV, day: $day) { url } pdf: statement(format: PDF, day: $day) { url } } }', { day });
    const origin = new URL(stack.url).origin;
    const csv = await fetch(`${origin}${myAccount.csv.url}`);
    expect(csv.status).toBe(200);
    expect(await csv.text()).toContain(`-${((balances.get(winner) as number) / 100).toFixed(2)}`);
    const pdf = await fetch(`${origin}${myAccount.pdf.url}`);
    expect(Buffer.from(await pdf.arrayBuffer()).subarray(0, 4).toString()).toBe('%PDF');
    const [, , token = ''] = myAccount.csv.url.split('/');
    expect((await fetch(`${origin}${myAccount.csv.url.replace(token, `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)}`)).status).toBe(404);
  });

  test('is in the audit: the ledger balances, and its chains are whole', async () => {
    const audit = await until('all is sealed', 15_000, async () => {
      const { ledgerAudit } = await ask('accountant', '{ ledgerAudit { balanced chainsIntact entries sealedEntries } }');
      return ledgerAudit.entries === ledgerAudit.sealedEntries && ledgerAudit;
    });
    expect(audit).toMatchObject({ balanced: true, chainsIntact: true });
    const { myAccount } = await ask(winner, '{ myAccount { entries(first: 1) { edges { node { hash } } } } }');
    expect(myAccount.entries.edges[0].node.hash).toMatch(/^[0-9a-f]{64}$/);
    const verified = spawnSync(process.execPath, ['operations/ledger.ts', 'verify'], { cwd: resolve(import.meta.dirname, '..'), env: { PATH: process.env['PATH'], DATA_DIR: stack.dataDir }, encoding: 'utf8', timeout: COMMAND_TIMEOUT_MS });
    expect({ status: verified.status, said: verified.stdout.slice(0, 20) }).toEqual({ status: 0, said: 'The ledger is whole:' });
  });

  test('is counted by Analytics as Accounting closed it, with everybody’s balances, and can be exported', async () => {
    const STATS = 'query ($day: Date) { dayStats(day: $day) { reconciled companyEarnings paidOut paidEmployees popugsInTheRed completed balances { edges { node { opening closing employee { email } } } } } }';
    const { dayStats } = await until('the day is reconciled', 20_000, async () => {
      const answer = await ask('admin', STATS, { day });
      return answer.dayStats.reconciled && answer;
    });
    const { dayClosing } = await ask('accountant', 'query ($day: Date!) { dayClosing(day: $day) { companyEarnings paidOut paidEmployees } }', { day });
    expect(dayStats).toMatchObject({ ...dayClosing, completed: 8, popugsInTheRed: [...balances.values()].filter((balance) => balance < 0).length });
    const closings = new Map(dayStats.balances.edges.map(({ node }: any) => [node.employee.email, node.closing]));
    expect(closings).toEqual(new Map([...balances].map(([name, balance]) => [`${name}@ates.test`, Math.min(balance, 0)])));
    const { auditLog } = await ask('admin', 'query ($day: Date) { auditLog(filter: { day: $day, kind: PAYOUT }, first: 50) { edges { node { amount description employee { email } } } } }', { day });
    expect(auditLog.edges).toHaveLength(dayClosing.paidEmployees);
    const { auditExport } = await ask('admin', 'query ($day: Date!) { auditExport(fromDay: $day, toDay: $day) { url } }', { day });
    const csv = await (await fetch(`${new URL(stack.url).origin}${auditExport.url}`)).text();
    expect(csv.trim().split('\r\n').filter((line) => line.includes(',PAYOUT,'))).toHaveLength(dayClosing.paidEmployees);
  });

  test('shows in what the robots did', async () => {
    const { scheduledRuns } = await ask('admin', '{ scheduledRuns(first: 50) { edges { node { robot day outcome } } } }');
    const nodes = scheduledRuns.edges.map(({ node }: any) => node);
    expect(nodes).toContainEqual({ robot: 'close of days', day, outcome: 'DONE' });
    for (const robot of ['mailer', 'sealing of entries']) expect(nodes).toContainEqual(expect.objectContaining({ robot, outcome: 'DONE' }));
  });
});
