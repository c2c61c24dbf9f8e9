import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase, eventually } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT, PAYOUTS_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { createMailTransport, type MailTransport } from '../src/mail-transport.ts';
import { startMailer, type Mailer, type MailerOptions } from '../src/mailer.ts';

export const DAY = '2026-11-20';
export const FROM = 'aTES <no-reply@ates.test>';
export const CLOSED_AT = new Date('2026-11-21T00:01:00Z');

/** What the server does with the next messages, one after the other; with all others: takes them. */
type Behaviour = 'BREAK_AFTER_THE_DOT' | 'SILENT_AFTER_THE_DOT' | { readonly rcpt: Error } | { readonly data: Error };

/** A real SMTP server that can misbehave, and what it received. */
async function startSmtp() {
  const received: Email[] = [];
  const next: Behaviour[] = [];
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onRcptTo: (_address, _session, done) => {
      const [behaviour] = next;
      if (typeof behaviour !== 'object' || !('rcpt' in behaviour)) return done();
      next.shift();
      done(behaviour.rcpt);
    },
    onData: (stream, session, done) => {
      const receive = async (): Promise<void> => {
        const message = await buffer(stream);
        const behaviour = next.shift();
        received.push(await PostalMime.parse(message));
        if (behaviour === 'SILENT_AFTER_THE_DOT') return;
        if (behaviour !== 'BREAK_AFTER_THE_DOT') return done(typeof behaviour === 'object' && 'data' in behaviour ? behaviour.data : null);
        for (const connection of server.connections) if (connection.session === session) connection._socket.destroy();
      };
      receive().catch((error: Error) => stream.destroy(error));
    },
  });
  // A client that goes away in the middle is one of the things that are tested.
  server.on('error', () => undefined);
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    received,
    next,
    stop: () =>
      new Promise<void>((closed) => {
        server.close(closed);
      }),
  };
}

interface TestPosting {
  readonly kind: 'FEE' | 'REWARD' | 'REVERSAL' | 'PAYOUT';
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly day?: string;
  readonly description?: string;
  readonly taskId?: string | null;
  readonly reverses?: string | null;
  readonly at?: Date;
  readonly times?: number;
}

interface TestUser {
  readonly name?: string;
  readonly email?: string | null;
  readonly roles?: readonly string[];
  readonly status?: string;
}

/** Accounting's tables and an SMTP server; what is posted, who knows of whom and what time it is, is up to the test. */
export async function openMailOffice() {
  const tables = await createTestDatabase('accounting');
  const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('accounting', 'fatal') });
  const smtp = await startSmtp();
  const ledger = ledgerOf(database);
  const transports: MailTransport[] = [];
  const mailers: Mailer[] = [];
  const office = {
    ...ledger,
    ...mailsOf(database, ledger),
    database,
    smtp,
    /** What the mailers take for now. */
    now: CLOSED_AT,
    later: (ms: number): void => {
      office.now = new Date(office.now.getTime() + ms);
    },
    toSmtp: (smtpUrl = smtp.url): MailTransport => {
      const transport = createMailTransport({ smtpUrl, from: FROM });
      transports.push(transport);
      return transport;
    },
    /** A mailer of its own, as another replica would have it; it looks when it is told to. */
    mailer: (transport: MailTransport, options: Partial<MailerOptions> = {}): Mailer => {
      const started = startMailer({ database, transport, clock: () => office.now, logger: createLogger('accounting', 'silent'), lookEveryMs: 3_600_000, ...options });
      mailers.push(started);
      return started;
    },
    /** Between two tests. */
    clear: async (): Promise<void> => {
      await Promise.all(mailers.splice(0).map((mailer) => mailer.stop()));
      for (const transport of transports.splice(0)) transport.close();
      await database.sql('delete from mails');
      office.now = CLOSED_AT;
      smtp.received.length = 0;
      smtp.next.length = 0;
    },
    close: async (): Promise<void> => {
      await smtp.stop();
      await database.close();
      await tables.drop();
    },
  };
  return office;
}

function ledgerOf(database: Database) {
  /** Posts in one statement, as the ledger's checks want it; several times the same thing if `times` says so. */
  const post = async ({ kind, from, to, amount, day = DAY, description = kind, taskId = null, reverses = null, at = CLOSED_AT, times = 1 }: TestPosting): Promise<string> => {
    const ids = Array.from({ length: times }, () => uuidv7());
    await database.sql(
      `with posting as materialized (select * from unnest($1::uuid[]) with ordinality as posting (id, place)),
       posted as (
         insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, reverses, reason, posted_at)
         select id, $2, id::text, $3::uuid, $4::uuid, $5::bigint, $6::uuid, $7::date, replace($8, '#', place::text), $9::uuid, case when $9::uuid is not null then 'a test' end, $10::timestamptz
         from posting
       ), entered as (
         insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
         select uuidv7(), posting.id, side, accounts.id, entry_count + place, side * $5::bigint, balance + side * place * $5::bigint, $7
         from posting, (values (-1, $3::uuid), (1, $4::uuid)) as each (side, account_id) join accounts on accounts.id = account_id
       )
       update accounts set balance = balance + case accounts.id when $4::uuid then 1 else -1 end * $11::integer * $5::bigint, entry_count = entry_count + $11::integer
       where accounts.id in ($3::uuid, $4::uuid)`,
      [ids, kind, from, to, amount, taskId, day, description, reverses, at, times],
    );
    return ids[0] as string;
  };
  return {
    user: async ({ name = 'Ann', email = `${randomUUID()}@ates.test`, roles = ['EMPLOYEE'], status = 'ACTIVE' }: TestUser = {}): Promise<string> => {
      const id = uuidv7();
      await database.sql('insert into user_copies (user_id, name, email, roles, status) values ($1, $2, $3, $4, $5)', [id, name, email, roles, status]);
      return id;
    },
    accountOf: async (ownerId: string): Promise<string> => {
      await database.sql(`insert into accounts (id, kind, owner_id) values ($1, 'EMPLOYEE', $1) on conflict do nothing`, [ownerId]);
      return ownerId;
    },
    post,
    fee: (account: string, amount: number, options: Partial<TestPosting> = {}) => post({ kind: 'FEE', from: account, to: COMPANY_ACCOUNT, amount, ...options }),
    reward: (account: string, amount: number, options: Partial<TestPosting> = {}) => post({ kind: 'REWARD', from: COMPANY_ACCOUNT, to: account, amount, ...options }),
    payout: (account: string, amount: number, options: Partial<TestPosting> = {}) => post({ kind: 'PAYOUT', from: account, to: PAYOUTS_ACCOUNT, amount, ...options }),
    /** A day of which only the figures of its close are there. */
    closed: (day: string, { companyEarnings = 0, paidOut = 0, paidEmployees = 0, carriedOver = 0, inTheRed = 0, assignments = 0, completions = 0 } = {}) =>
      database.sql(
        `insert into day_closings (day, assignments, completions, ended_at, marked_assignments, marked_completions, closed_at, company_earnings, paid_out,
           paid_employees, carried_over, employees_in_the_red)
         values ($1, $3, $4, $2, $3, $4, $2, $5, $6, $7, $8, $9)`,
        [day, CLOSED_AT, assignments, completions, companyEarnings, paidOut, paidEmployees, carriedOver, inTheRed],
      ),
  };
}

interface MailState {
  readonly status: string;
  readonly attempts: number;
  readonly due_at: Date | null;
  readonly last_error: string | null;
  readonly sent_at: Date | null;
}

function mailsOf(database: Database, { user, accountOf, reward, payout }: ReturnType<typeof ledgerOf>) {
  /** As the close leaves it. */
  const mailFor = async (recipientId: string, payoutId: string | null, day = DAY): Promise<string> => {
    const kind = payoutId === null ? 'REPORT' : 'PAYOUT';
    const [mail] = await database.sql<{ id: string }>(
      'insert into mails (kind, business_day, recipient_id, payout_id, due_at) values ($1, $2, $3, $4, $5) returning id',
      [kind, day, recipientId, payoutId, CLOSED_AT],
    );
    return mail!.id;
  };
  const stateOf = async (mailId: string): Promise<MailState> =>
    (await database.sql<MailState>('select status, attempts, due_at, last_error, sent_at from mails where id = $1', [mailId]))[0]!;
  return {
    mailFor,
    stateOf,
    /** An employee who was paid, and the mail about it. */
    paid: async (recipient: TestUser = {}) => {
      const userId = await user(recipient);
      const account = await accountOf(userId);
      await reward(account, 1_234);
      const payoutId = await payout(account, 1_234);
      return { userId, payoutId, mailId: await mailFor(userId, payoutId), messageId: `<payout.${payoutId}@ates.test>` };
    },
    untilIt: (mailId: string, status: string, attempts: number): Promise<MailState> =>
      eventually(async () => {
        const state = await stateOf(mailId);
        return state.status === status && state.attempts === attempts ? state : null;
      }),
  };
}
