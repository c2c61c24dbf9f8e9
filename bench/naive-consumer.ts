import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { defineEntity, MikroORM, p, type EntityManager } from '@mikro-orm/postgresql';
import { openDatabase } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { readEvent } from '@ates/shared-events/catalog';
import { createTestDatabase } from '../scripts/test-service.ts';
import { COMPANY_ACCOUNT, Migration20261120Accounting } from '../subgraphs/accounting/migrations/2026-11-20-accounting.ts';
import { Migration20261121Pipe } from '../subgraphs/accounting/migrations/2026-11-21-pipe.ts';

const Account = defineEntity({
  name: 'Account',
  tableName: 'accounts',
  properties: { id: p.uuid().primary(), kind: p.string(), owner_id: p.uuid().nullable(), balance: p.bigint(), entry_count: p.integer(), version: p.integer() },
});
const PostingRow = defineEntity({
  name: 'PostingRow',
  tableName: 'postings',
  properties: {
    id: p.uuid().primary(), kind: p.string(), cause: p.string(), from_account: p.uuid(), to_account: p.uuid(), amount: p.bigint(),
    task_id: p.uuid(), business_day: p.string().columnType('date'), description: p.string(), posted_at: p.datetime(),
  },
});
const EntryRow = defineEntity({
  name: 'EntryRow',
  tableName: 'entries',
  properties: {
    id: p.uuid().primary(), posting_id: p.uuid(), side: p.integer(), account_id: p.uuid(), number: p.integer(),
    amount: p.bigint(), balance_after: p.bigint(), business_day: p.string().columnType('date'),
  },
});
const Seen = defineEntity({ name: 'Seen', tableName: 'inbox', properties: { event_id: p.uuid().primary() } });

/**
 * What most would write first: for each event one transaction, entities loaded, changed and flushed by the ORM, then the
 * acknowledgement; into the same tables, with the same checks, exactly once as well. It publishes nothing further.
 * @returns events per second
 */
export async function runNaively({ nats, events, logger }: { readonly nats: NatsConnection; readonly events: number; readonly logger: Logger }): Promise<number> {
  const database = await createTestDatabase('naive');
  // The tables as they first were: their checks wait for the commit, as an ORM's flush, which writes table by table, needs it.
  const schema = await openDatabase({ ...database, entities: [], migrations: [Migration20261120Accounting, Migration20261121Pipe], logger });
  await schema.close();
  const orm = await MikroORM.init({ clientUrl: database.url, entities: [Account, PostingRow, EntryRow, Seen], debug: false });
  const manager = await jetstreamManager(nats);
  await manager.consumers.add('TASKS', { durable_name: 'naive', ack_policy: AckPolicy.Explicit });
  const messages = await (await jetstream(nats).consumers.get('TASKS', 'naive')).consume({ max_messages: 100 });
  let done = 0;
  const startedAt = performance.now();
  for await (const message of messages) {
    const event = readEvent(message.string());
    if (event.dataschema === 'task.assigned.v1') await orm.em.fork().transactional((em) => charge(em as EntityManager, event.id, event.subject, event.data));
    message.ack();
    if (++done >= events) break;
  }
  const perSecond = done / ((performance.now() - startedAt) / 1_000);
  messages.stop();
  await orm.close(true);
  await database.drop();
  return perSecond;
}

interface Assigned {
  readonly assigneeId: string;
  readonly assignmentNumber: number;
  readonly businessDay: string;
}

async function charge(em: EntityManager, eventId: string, taskId: string, { assigneeId, assignmentNumber, businessDay }: Assigned): Promise<void> {
  if ((await em.findOne(Seen, { event_id: eventId })) !== null) return;
  em.create(Seen, { event_id: eventId });
  let employee = await em.findOne(Account, { owner_id: assigneeId });
  employee ??= em.create(Account, { id: randomUUID(), kind: 'EMPLOYEE', owner_id: assigneeId, balance: 0n, entry_count: 0, version: 0 });
  const company = await em.findOneOrFail(Account, { id: COMPANY_ACCOUNT });
  const amount = 1_500n;
  const posting = em.create(PostingRow, {
    id: randomUUID(), kind: 'FEE', cause: `${taskId}/${assignmentNumber}`, from_account: employee.id, to_account: company.id, amount,
    task_id: taskId, business_day: businessDay, description: `Fee, assignment ${assignmentNumber}`, posted_at: new Date(),
  });
  for (const [side, account] of [[-1, employee], [1, company]] as const) {
    account.balance = account.balance + BigInt(side) * amount;
    account.entry_count += 1;
    em.create(EntryRow, {
      id: randomUUID(), posting_id: posting.id, side, account_id: account.id, number: account.entry_count,
      amount: BigInt(side) * amount, balance_after: account.balance, business_day: businessDay,
    });
  }
  await em.flush();
}
