import type { Guard } from './guard.ts';

const MARKET = 'subgraphs/tasks/migrations/2026-11-21-market.ts';
const ASSIGNMENTS = 'subgraphs/tasks/src/assignments.ts';
const COMMANDS = 'subgraphs/tasks/src/task-commands.ts';
const SHUFFLE = 'subgraphs/tasks/src/shuffle.ts';
const DAY_TEST = 'subgraphs/tasks/test/business-day.test.ts';
const GATE_TEST = 'subgraphs/tasks/test/day-gate.test.ts';
const MODEL_TEST = 'subgraphs/tasks/test/market-model.test.ts';
const SHUFFLE_TEST = 'subgraphs/tasks/test/shuffle.test.ts';
const REVERSALS = 'subgraphs/accounting/migrations/2026-11-21-reversals.ts';
const REVERSALS_TEST = 'subgraphs/accounting/test/reversals.test.ts';

/** What keeps tasks from being two people's, days from getting something after their end, and fees from coming back twice. */
export const MARKET_GUARDS: readonly Guard[] = [
  {
    name: 'day: who stamps passes its gate',
    edits: [{ file: MARKET, find: 'perform pg_advisory_xact_lock_shared(${DAY_GATES}, day_gate(candidate));', replace: '' }],
    test: DAY_TEST,
    named: 'waits for what was begun on it',
  },
  {
    name: 'day: it is looked at again behind the gate',
    edits: [{ file: MARKET, find: 'if exists (select from business_days where day = candidate and ended_at is null and ends_at > at) then', replace: 'if true then' }],
    test: GATE_TEST,
    named: 'lets nothing of a day come after its marker',
  },
  {
    name: 'day: who ends it waits at its gate',
    edits: [{ file: 'subgraphs/tasks/src/business-day.ts', find: "await sql('select pg_advisory_xact_lock($1, day_gate($2))', [DAY_GATES, oldest.day]);", replace: '' }],
    test: GATE_TEST,
    named: 'lets nothing of a day come after its marker',
  },
  {
    name: 'shuffle: open tasks are locked before they are moved',
    edits: [{ file: ASSIGNMENTS, find: 'order by task_id for update', replace: 'order by task_id' }],
    test: SHUFFLE_TEST,
    named: 'sees a completion that was first',
  },
  {
    name: 'shuffle: one at a time',
    edits: [{ file: SHUFFLE, find: 'if (turn?.taken !== true)', replace: 'if (turn === undefined)' }],
    test: SHUFFLE_TEST,
    named: 'pressed while another one runs',
  },
  {
    name: 'shuffle: not before the last one is published',
    edits: [{ file: SHUFFLE, find: 'if (turn.unpublished > UNPUBLISHED_MAX_EVENTS)', replace: 'if (turn.unpublished < 0)' }],
    test: SHUFFLE_TEST,
    named: 'until what was assigned before is published',
  },
  {
    name: 'employees: they stay while a task is made',
    edits: [{ file: COMMANDS, find: "await holdEmployees(sql, 'AS_THEY_ARE');\n  const [employeeIds", replace: 'const [employeeIds' }],
    test: MODEL_TEST,
    named: 'keeps its rules, whatever happens at once',
  },
  {
    name: 'employees: they stay while a task is given to one of them',
    edits: [{ file: COMMANDS, find: "await holdEmployees(sql, 'AS_THEY_ARE');\n    const task", replace: 'const task' }],
    test: MODEL_TEST,
    named: 'keeps its rules, whatever happens at once',
  },
  {
    name: 'a task: its row is locked before it is changed',
    edits: [{ file: 'subgraphs/tasks/src/task-queries.ts', find: "await sql.later('select from task_holders where task_id = $1 for update', [id]);", replace: '' }],
    test: MODEL_TEST,
    named: 'keeps its rules, whatever happens at once',
  },
  {
    name: 'reversals: a posting is taken back once',
    edits: [{ file: REVERSALS, find: 'create unique index postings_reversed_once', replace: 'create index postings_reversed_once' }],
    test: REVERSALS_TEST,
    named: 'taken back twice',
  },
  {
    name: 'reversals: a posting is taken back whole',
    edits: [{ file: REVERSALS, find: 'where reverses is not null and not exists (select from postings as original', replace: 'where false and not exists (select from postings as original' }],
    test: REVERSALS_TEST,
    named: 'taken back in part',
  },
];
