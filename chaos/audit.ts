import { copyForAudit, type AuditSource } from './audit-tables.ts';

/** A statement whose every row is one violation: what is wrong there, in a few words. */
interface Check {
  readonly name: string;
  readonly rows: string;
}

export interface Finding {
  readonly name: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface AuditReport {
  /** Every check, those that found nothing too. */
  readonly findings: readonly Finding[];
  readonly events: number;
  readonly postings: number;
  readonly messages: number;
  /** From the moment that an event was made until its posting, in ms. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** Versions of an aggregate that do not count from 1 without a gap. */
const gapsIn = (table: string): string => `
  select aggregate_id || ' has ' || count(*) || ' events, versions ' || min(version) || ' to ' || max(version) from ${table}
  group by aggregate_id having min(version) <> 1 or max(version) <> count(*) or count(distinct version) <> count(*)`;

const streamChecks = (stream: string, table: string): Check[] => [
  { name: `not in ${stream}`, rows: `select id::text from ${table} where not exists (select from message where stream = '${stream}' and message.id = ${table}.id)` },
  { name: `twice in ${stream}`, rows: `select id::text from (select id, row_number() over (partition by id order by seq) as nth from message where stream = '${stream}' and id is not null) as numbered where nth > 1` },
  { name: `unknown in ${stream}`, rows: `select seq || ' ' || coalesce(id::text, '?') from message where stream = '${stream}' and not exists (select from ${table} where ${table}.id = message.id)` },
  { name: `not where the outbox has it in ${stream}`, rows: `select ${table}.id || ' at ' || seq || ', not ' || coalesce(stream_seq::text, '?') from message join ${table} using (id) where stream = '${stream}' and seq is distinct from stream_seq` },
  {
    name: `inverted in ${stream}`,
    rows: `select aggregate_id || ' v' || version from (
        select aggregate_id, version, seq, lag(seq) over (partition by aggregate_id order by version) as before from ${table} join message using (id) where stream = '${stream}'
      ) as ordered where seq < before`,
  },
  { name: `versions that do not go on by one behind ${stream}`, rows: gapsIn(table) },
];

/**
 * What must hold once nothing is under way any more. It knows the pipe by its tables only, none of its code. The company's account has an
 * entry of every posting, numbered while it is locked: that is the one order in which events took effect.
 */
const CHECKS: readonly Check[] = [
  { name: 'lost', rows: 'select cause from due where not exists (select from effect where effect.cause = due.cause)' },
  { name: 'doubled', rows: 'select cause from (select cause, row_number() over (partition by cause order by place) as nth from effect) as numbered where nth > 1' },
  {
    name: 'inverted',
    rows: `select aggregate_id || ' v' || version from (
        select aggregate_id, version, place, lag(place) over (partition by aggregate_id order by version) as before from due join effect using (cause)
      ) as ordered where place < before`,
  },
  { name: 'posted for nothing', rows: 'select cause from effect where not exists (select from due where due.cause = effect.cause)' },
  {
    name: 'posted otherwise than the event says',
    rows: `select cause from due join effect using (cause)
      left join price on price.task_id = due.aggregate_id
      left join account as employee on employee.owner_id = due.assignee_id
      where effect.task_id <> due.aggregate_id or effect.business_day <> due.business_day
        or effect.kind <> case type when 'task.assigned' then 'FEE' else 'REWARD' end
        or effect.amount is distinct from case type when 'task.assigned' then price.fee else price.reward end
        or case type when 'task.assigned' then from_account else to_account end is distinct from employee.id`,
  },
  { name: 'known to another version than the outbox has', rows: `
      select aggregate_id || ': ' || coalesce(reached.version, 0) || ', not ' || coalesce(last.version, 0)
      from (select aggregate_id, max(version) as version from event group by aggregate_id) as last full join reached using (aggregate_id)
      where reached.version is distinct from last.version` },
  { name: 'not received', rows: 'select id::text from event where not exists (select from received where event_id = id)' },
  { name: 'waiting', rows: `select aggregate_id || ' v' || version from waiting` },
  { name: 'parked', rows: `select message_key || ': ' || reason from parked` },
  { name: 'all entries do not sum to zero', rows: 'select sum(amount)::text from entry having sum(amount) <> 0' },
  { name: 'postings without their two entries', rows: `
      select posting.id::text from posting left join entry on posting_id = posting.id group by posting.id, posting.amount, from_account, to_account
      having count(entry.id) <> 2 or count(*) filter (where entry.amount = side * posting.amount and account_id = case side when 1 then to_account else from_account end) <> 2` },
  { name: 'entries without a posting', rows: 'select id::text from entry where not exists (select from posting where posting.id = posting_id)' },
  { name: 'entries that do not follow the one before', rows: `
      select account_id || ' entry ' || number from (
        select *, lag(number, 1, 0) over each as number_before, lag(balance_after, 1, 0::bigint) over each as balance_before
        from entry window each as (partition by account_id order by number, id)
      ) as chained where number <> number_before + 1 or balance_after <> balance_before + amount` },
  { name: 'balances that are not the sum of their entries', rows: `
      select account.id::text from account left join entry on account_id = account.id group by account.id, balance, entry_count
      having balance <> coalesce(sum(amount), 0) or entry_count <> count(entry.id)` },
  { name: 'entries not told of exactly once', rows: `
      select entry.id::text from entry join account on account.id = account_id left join said on said.entry_id = entry.id and said.aggregate_id = account_id
      where kind = 'EMPLOYEE' group by entry.id having count(said.id) <> 1` },
  { name: 'accounts at another version than their events', rows: `
      select account.id::text from account left join (select aggregate_id, max(version) as version from said group by aggregate_id) as last on aggregate_id = account.id
      where kind = 'EMPLOYEE' and account.version <> coalesce(last.version, 0)` },
  ...streamChecks('TASKS', 'event'),
  ...streamChecks('ACCOUNTING', 'said'),
];

const EXAMPLES = 3;
const FIGURES = `
  select (select count(*) from event)::int as events, (select count(*) from effect)::int as postings, (select count(*) from message)::int as messages,
    array(select round(coalesce(percentile_cont(share) within group (order by extract(epoch from posted_at - occurred_at) * 1000), 0))::float
      from due join effect using (cause), unnest(array[0.5, 0.99, 1]) as share group by share order by share) as latencies`;

/** Looks at everything that is left after a run. @param acknowledged how many events the writer knows to be committed */
export async function audit(source: AuditSource, acknowledged: number): Promise<AuditReport> {
  const client = await copyForAudit(source);
  try {
    const findings: Finding[] = [];
    for (const { name, rows } of CHECKS) {
      const { rows: answer } = await client.query<{ count: number; examples: string[] }>(
        `select count(*)::int as count, coalesce((array_agg(what))[1:${EXAMPLES}], '{}') as examples from (${rows}) as found (what)`,
      );
      findings.push({ name, count: answer[0]?.count ?? -1, examples: answer[0]?.examples ?? [] });
    }
    const { events, postings, messages, latencies } = (await client.query<{ events: number; postings: number; messages: number; latencies: number[] }>(FIGURES)).rows[0] ?? never();
    findings.push({ name: 'committed otherwise than the writer was told', count: Math.abs(events - acknowledged), examples: [`${events} in the outbox, ${acknowledged} acknowledged`] });
    const [p50 = 0, p99 = 0, max = 0] = latencies;
    return { findings, events, postings, messages, latency: { p50, p99, max } };
  } finally {
    await client.end();
  }
}

function never(): never {
  throw new Error('A statement without a row');
}

/** Those that found something. */
export function violations({ findings }: AuditReport): Finding[] {
  return findings.filter(({ count }) => count !== 0);
}
