import { performance } from 'node:perf_hooks';
import type { Database } from '@ates/service-kit/database';
import { newId } from '@ates/shared-events/new-id';
import { between, randomFrom, type Random } from '../chaos/random.ts';
import { closeDay } from '../subgraphs/accounting/src/closing.ts';
import { copyUsers } from '../subgraphs/accounting/src/copies.ts';
import { openAccounts } from '../subgraphs/accounting/src/posting.ts';
import { drawPrice } from '../subgraphs/accounting/src/pricing.ts';
import type { Posting } from '../subgraphs/accounting/src/ledger.ts';
import { openLedger, startLedgerServer, type Ledger } from './ledger-database.ts';
import { median, quantile, verdict } from './ledger-figures.ts';
import { newPosting, postTogether } from './ledger-posting.ts';
import type { Place } from './tasks-place.ts';

export interface CloseOptions {
  readonly place: Place;
  /** How many accounts a day is closed for. */
  readonly sizes: readonly number[];
  readonly seed: number;
  readonly say: (text: string) => void;
}

const GOALS_MS: ReadonlyMap<number, number> = new Map([
  [1_000, 500],
  [100_000, 20_000],
]);
const MANY = 10_000;
const ROUNDS = { few: 5, many: 3 } as const;
const BATCH = 1_500;
const DAY = '2026-11-20';
const CLOSED_AT = new Date('2026-11-21T00:01:00Z');
const MANAGERS = 3;

interface Closed {
  readonly ms: number;
  readonly paid: number;
}

/** The close of a day for so many accounts, each time in a ledger of its own. @returns whether the books were right after each */
export async function measureCloses({ place, sizes, seed, say }: CloseOptions): Promise<boolean> {
  await startLedgerServer(place);
  const random = randomFrom(seed);
  const rows: Record<string, string | number>[] = [];
  let isRight = true;
  for (const accounts of sizes) {
    const rounds: Closed[] = [];
    while (rounds.length < (accounts > MANY ? ROUNDS.many : ROUNDS.few)) {
      const ledger = await openLedger();
      try {
        const filledAt = performance.now();
        await fill(ledger, accounts, random);
        say(`${accounts} accounts with two entries each, by the service's functions: ${((performance.now() - filledAt) / 1_000).toFixed(1)} s`);
        const ms = await close(ledger.database);
        const { paid, wrong } = await check(ledger.database, accounts);
        rounds.push({ ms, paid });
        for (const sentence of wrong) console.error(`After the close for ${accounts} accounts ${sentence}`);
        if (wrong.length > 0) isRight = false;
        say(`${accounts} accounts: closed in ${ms.toFixed(0)} ms, ${paid} paid, ${wrong.length === 0 ? 'the books are right' : 'THE BOOKS ARE WRONG'}`);
      } finally {
        await ledger.drop();
      }
    }
    const times = rounds.map(({ ms }) => ms);
    const goal = GOALS_MS.get(accounts);
    rows.push({
      accounts,
      closes: rounds.length,
      'of them paid': rounds.at(-1)?.paid ?? 0,
      'median ms': Math.round(median(times)),
      'max ms': Math.round(quantile(times, 1)),
      goal: goal === undefined ? '' : `≤ ${goal} ms`,
      is: goal === undefined ? '' : verdict(median(times) <= goal),
    });
  }
  console.log('\nThe close of a day: payouts, balances carried over, events and mails, in one transaction; nobody posts meanwhile');
  console.table(rows);
  return isRight;
}

/** Half of the employees, by chance, have done a task that they paid the fee of; the others paid two fees. */
async function fill({ database, tidy }: Ledger, accounts: number, random: Random): Promise<void> {
  const owners = Array.from({ length: accounts }, () => newId());
  for (let from = 0; from < accounts; from += BATCH) {
    const some = owners.slice(from, from + BATCH);
    await copyUsers(database.sql, some.map((id) => ({ id, name: 'Popug', email: `${id}@ates.test`, roles: ['EMPLOYEE'], status: 'ACTIVE' })));
    await openAccounts(database.sql, some);
  }
  const managers = Array.from({ length: MANAGERS }, () => newId());
  await copyUsers(database.sql, managers.map((id) => ({ id, name: 'Popug', email: `${id}@ates.test`, roles: ['MANAGER'], status: 'ACTIVE' })));
  const draw = (employeeId: string, index: number, kind: 'FEE' | 'REWARD'): Posting => newPosting(kind, { employeeId, price: drawPrice((min, max) => between(random, min, max)), day: DAY, number: index + 1 });
  const fees = owners.map((owner, index) => draw(owner, index, 'FEE'));
  const others = owners.map((owner, index) => draw(owner, index, random() < 0.5 ? 'REWARD' : 'FEE'));
  const postings = [...fees, ...others];
  for (let from = 0; from < postings.length; from += BATCH) await postTogether(database, postings.slice(from, from + BATCH), { day: DAY, withEvents: true });
  await tidy();
}

/** Tasks' marker has come, and the service closes. @returns ms, from the call to the answer of the commit */
async function close(database: Database): Promise<number> {
  await database.sql('update day_closings set ended_at = $1, marked_assignments = assignments, marked_completions = completions, marked_deletions = deletions', [CLOSED_AT]);
  const startedAt = performance.now();
  const isClosed = await closeDay(database, DAY, { timeZone: 'UTC', clock: () => CLOSED_AT });
  if (!isClosed) throw new Error(`${DAY} was not closed`);
  return performance.now() - startedAt;
}

/** What of the books is wrong, as ends of sentences. Everything is recomputed from the rows. */
async function check({ sql }: Database, accounts: number): Promise<{ paid: number; wrong: string[] }> {
  const [found] = await sql<Record<'sum' | 'off' | 'unpaid' | 'standing' | 'paid' | 'paid_out' | 'carried_over' | 'told_paid' | 'told_paid_out' | 'told_carried_over' | 'mails' | 'paid_events' | 'carried_events', string>>(
    `select (select sum(amount) from entries) as sum,
       (select count(*) from accounts left join (select account_id, sum(amount) as amount, count(*) as entries, max(number) as last from entries group by 1) as sums on account_id = accounts.id
         where balance <> coalesce(amount, 0) or entry_count <> coalesce(entries, 0) or entry_count <> coalesce(last, 0)) as off,
       (select count(*) from accounts where kind = 'EMPLOYEE' and balance > 0) as unpaid,
       (select sum(entries.amount) from entries join accounts on accounts.id = account_id join postings on postings.id = posting_id
         where accounts.kind = 'EMPLOYEE' and postings.kind <> 'PAYOUT') as standing,
       (select count(*) from postings where kind = 'PAYOUT') as paid, (select coalesce(sum(amount), 0) from postings where kind = 'PAYOUT') as paid_out,
       (select sum(balance) from accounts where kind = 'EMPLOYEE') as carried_over,
       paid_employees as told_paid, closing.paid_out as told_paid_out, closing.carried_over as told_carried_over,
       (select count(*) from mails) as mails,
       (select count(*) from outbox where type = 'account.paid') as paid_events, (select count(*) from outbox where type = 'account.carried_over') as carried_events
     from day_closings as closing where day = $1`,
    [DAY],
  );
  if (found === undefined) throw new Error(`${DAY} is not there`);
  const of = (field: keyof typeof found): number => Number(found[field]);
  const wrong = [
    [of('sum') === 0, `all entries together are ${found.sum} cents`],
    [of('off') === 0, `${found.off} balances are not what their entries sum to`],
    [of('unpaid') === 0, `${found.unpaid} positive balances are not paid`],
    [of('paid_out') + of('carried_over') === of('standing'), `${found.paid_out} paid out and ${found.carried_over} carried over are not the ${found.standing} that there were`],
    [of('paid') === of('told_paid') && of('paid_out') === of('told_paid_out') && of('carried_over') === of('told_carried_over'), `the day's totals are not what was done: ${JSON.stringify(found)}`],
    [of('mails') === of('paid') + MANAGERS, `there are ${found.mails} mails for ${found.paid} payouts and ${MANAGERS} managers`],
    [of('paid_events') === of('paid') && of('paid_events') + of('carried_events') === accounts, `there are ${found.paid_events} events of payouts and ${found.carried_events} of what was carried over`],
  ] as const;
  return { paid: of('paid'), wrong: wrong.flatMap(([isRight, sentence]) => (isRight ? [] : [sentence])) };
}
