/** Who asks: nobody, a role with a session by password, or an employee whose session was opened by a beak. */
export const CALLERS = ['NOBODY', 'BY_BEAK', 'EMPLOYEE', 'MANAGER', 'ACCOUNTANT', 'ADMIN'] as const;
export type Caller = (typeof CALLERS)[number];

export type RootType = 'Query' | 'Mutation' | 'Subscription';

/** Who may use a root field of the API. */
export interface AccessRule {
  readonly type: RootType;
  readonly field: string;
  readonly allowed: readonly Caller[];
  readonly remark?: string;
}

const ANYBODY = CALLERS;
const SIGNED_IN = CALLERS.filter((caller) => caller !== 'NOBODY');
const BY_PASSWORD = SIGNED_IN.filter((caller) => caller !== 'BY_BEAK');

/**
 * The one table of rights: `docs/access.md` shows it, and `e2e/access.test.ts` tries every cell of it. Whoever is refused gets
 * UNAUTHENTICATED as nobody, else FORBIDDEN.
 */
export const ACCESS: readonly AccessRule[] = [
  { type: 'Query', field: 'me', allowed: SIGNED_IN },
  { type: 'Query', field: 'user', allowed: SIGNED_IN, remark: 'e-mails: one’s own, else ACCOUNTANT and ADMIN' },
  { type: 'Query', field: 'users', allowed: SIGNED_IN, remark: 'e-mails: one’s own, else ACCOUNTANT and ADMIN' },
  { type: 'Query', field: 'signInAttempts', allowed: ['ADMIN'] },
  { type: 'Query', field: 'task', allowed: SIGNED_IN },
  { type: 'Query', field: 'tasks', allowed: SIGNED_IN },
  { type: 'Query', field: 'myTasks', allowed: SIGNED_IN },
  { type: 'Query', field: 'myAccount', allowed: SIGNED_IN },
  { type: 'Query', field: 'account', allowed: ['ACCOUNTANT', 'ADMIN'], remark: 'everybody: their own' },
  { type: 'Query', field: 'accounts', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'companyEarnings', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'dayClosing', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'dayClosings', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'payouts', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'scheduledRuns', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'ledgerAudit', allowed: ['ACCOUNTANT', 'ADMIN'] },
  { type: 'Query', field: 'dayStats', allowed: ['ADMIN'] },
  { type: 'Query', field: 'daysStats', allowed: ['ADMIN'] },
  { type: 'Query', field: 'mostExpensiveTask', allowed: ['ADMIN'] },
  { type: 'Query', field: 'mostExpensiveTasks', allowed: ['ADMIN'] },
  { type: 'Query', field: 'popugsInTheRed', allowed: ['ADMIN'] },
  { type: 'Query', field: 'auditLog', allowed: ['ADMIN'] },
  { type: 'Query', field: 'auditExport', allowed: ['ADMIN'], remark: 'whoever has the link has the document, for five minutes' },
  { type: 'Mutation', field: 'login', allowed: ANYBODY },
  { type: 'Mutation', field: 'loginWithBeak', allowed: ANYBODY, remark: 'opens a session of low assurance' },
  { type: 'Mutation', field: 'refreshSession', allowed: ANYBODY },
  { type: 'Mutation', field: 'logout', allowed: ANYBODY },
  { type: 'Mutation', field: 'logoutEverywhere', allowed: SIGNED_IN },
  { type: 'Mutation', field: 'enrollBeak', allowed: BY_PASSWORD },
  { type: 'Mutation', field: 'changePassword', allowed: BY_PASSWORD },
  { type: 'Mutation', field: 'createUser', allowed: ['ADMIN'] },
  { type: 'Mutation', field: 'importUser', allowed: ['ADMIN'], remark: 'where OIDC_ISSUER is set' },
  { type: 'Mutation', field: 'updateUser', allowed: ['ADMIN'] },
  { type: 'Mutation', field: 'deactivateUser', allowed: ['ADMIN'] },
  { type: 'Mutation', field: 'reactivateUser', allowed: ['ADMIN'] },
  { type: 'Mutation', field: 'deleteUser', allowed: ['ADMIN'] },
  { type: 'Mutation', field: 'createTask', allowed: SIGNED_IN },
  { type: 'Mutation', field: 'completeTask', allowed: SIGNED_IN, remark: 'the current assignee' },
  { type: 'Mutation', field: 'updateTask', allowed: ['MANAGER', 'ADMIN'] },
  { type: 'Mutation', field: 'deleteTask', allowed: ['MANAGER', 'ADMIN'] },
  { type: 'Mutation', field: 'assignTask', allowed: ['MANAGER', 'ADMIN'] },
  { type: 'Mutation', field: 'assignTasks', allowed: ['MANAGER', 'ADMIN'] },
  { type: 'Mutation', field: 'closeDay', allowed: ['ADMIN'] },
  { type: 'Subscription', field: 'myTasksChanged', allowed: SIGNED_IN },
  { type: 'Subscription', field: 'balanceChanged', allowed: SIGNED_IN, remark: 'of others: ACCOUNTANT and ADMIN' },
  { type: 'Subscription', field: 'dayStatsChanged', allowed: ['ADMIN'] },
];

/** `docs/access.md`: the table for reading. */
export function accessPage(): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `${[
    '# Who may do what',
    'Made from `contracts/access.ts` by `npm run contracts`, and tried cell by cell by `e2e/access.test.ts`. Not edited by hand.',
    'Whoever has several roles may do what any of them may. "by beak" is any user whose session was opened by a photo of their beak: ' +
      'whatever needs a role is refused them, whichever they have. What needs a role is refused to everybody, with SERVICE_UNAVAILABLE, ' +
      'while a service can’t hear which rights were taken away ([why](adr/0012-revocation.md)). The rules hold for `_entities` and for sockets as well.',
    [
      row(['', ...CALLERS.map((caller) => caller.toLowerCase().replace('_', ' ')), '']),
      row(['-', ...CALLERS.map(() => ':-:'), '-']),
      ...ACCESS.map(({ type, field, allowed, remark = '' }) => row([`${type}.${field}`, ...CALLERS.map((caller) => (allowed.includes(caller) ? '✓' : '')), remark])),
    ].join('\n'),
  ].join('\n\n')}\n`;
}
