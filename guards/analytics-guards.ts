import type { Guard } from './guard.ts';

const ROLLUPS = 'subgraphs/analytics/src/rollups.ts';
const MODEL_TEST = 'subgraphs/analytics/test/projection-model.test.ts';

/** What keeps the read model the same whatever the order of events. */
export const ANALYTICS_GUARDS: readonly Guard[] = [
  {
    name: 'analytics: a late entry moves the closings after it',
    edits: [{ file: ROLLUPS, find: 'one.employee_id = since.employee_id and one.day >= since.day offset 0', replace: 'one.employee_id = since.employee_id and one.day = since.day offset 0' }],
    test: MODEL_TEST,
    named: '',
  },
  {
    name: 'analytics: who comes into the red is counted',
    edits: [{ file: ROLLUPS, find: '(after < 0)::integer - (before < 0)::integer as more', replace: '0 as more' }],
    test: MODEL_TEST,
    named: '',
  },
  {
    name: 'analytics: one at a time changes an employee’s balances',
    edits: [{ file: 'subgraphs/analytics/src/reactions.ts', find: '  await lockEmployees(sql, employeesTold(changes));\n', replace: '  void lockEmployees, void employeesTold;\n' }],
    test: MODEL_TEST,
    named: '',
  },
  {
    name: 'analytics: of equally expensive tasks the one completed first',
    edits: [{ file: ROLLUPS, find: '(${one}.reward, known.completed_at, known.task_id) > (known.reward, ${one}.completed_at, ${one}.task_id)', replace: '${one}.reward > known.reward' }],
    test: MODEL_TEST,
    named: '',
  },
];
