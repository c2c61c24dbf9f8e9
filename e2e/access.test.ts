import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'graphql';
import { ACCESS, CALLERS, type Caller, type RootType } from '../contracts/access.ts';
import { beakPicture } from '../subgraphs/users/test/beak-pictures.ts';
import { startStack, type Stack } from './stack.ts';

const NOBODYS_ID = '01a1f8f1-0000-7000-8000-00000000ffff';
const EMAILS: Readonly<Record<Exclude<Caller, 'NOBODY' | 'BY_BEAK'>, string>> = {
  EMPLOYEE: 'ann@ates.test',
  MANAGER: 'manager@ates.test',
  ACCOUNTANT: 'accountant@ates.test',
  ADMIN: 'admin@ates.test',
};

interface Session {
  readonly accessToken: string;
  readonly refreshToken: string;
}

describe('the table of rights', () => {
  let stack: Stack;
  let photo: string;
  const tokens = new Map<Caller, string>();
  beforeAll(async () => {
    stack = await startStack();
    for (const caller of ['EMPLOYEE', 'MANAGER', 'ACCOUNTANT', 'ADMIN'] as const) tokens.set(caller, await stack.signIn(EMAILS[caller]));
    photo = (await beakPicture(1)).toString('base64');
    await stack.gql('mutation ($photo: String!) { enrollBeak(photo: $photo) { id } }', { photo }, tokens.get('ADMIN'));
    // An admin's, who may do everything with a password.
    tokens.set('BY_BEAK', (await open('loginWithBeak', { email: EMAILS.ADMIN, photo })).accessToken);
  });
  afterAll(() => stack?.stop());

  const open = async (field: string, variables: object): Promise<Session> => {
    const names = Object.keys(variables);
    const { data, errors } = await stack.gql<Record<string, Session>>(
      `mutation (${names.map((name) => `$${name}: String!`).join(', ')}) { ${field}(${names.map((name) => `${name}: $${name}`).join(', ')}) { accessToken refreshToken } }`,
      variables,
    );
    const session = data?.[field];
    if (session === undefined) throw new Error(`${field} opened no session: ${JSON.stringify(errors)}`);
    return session;
  };

  /** What is asked of each field: something that harms nobody, and that whoever is allowed gets further with than to the door. */
  const EXAMPLES: Readonly<Record<string, string | (() => Promise<string> | string)>> = {
    me: 'me { id }',
    user: `user(id: "${NOBODYS_ID}") { id }`,
    users: 'users { totalCount }',
    signInAttempts: 'signInAttempts { edges { cursor } }',
    task: `task(id: "${NOBODYS_ID}") { id }`,
    tasks: 'tasks { edges { cursor } }',
    myTasks: 'myTasks { edges { cursor } }',
    myAccount: 'myAccount { id }',
    account: async () => `account(id: "${(await stack.gql<any>('{ myAccount { id } }', {}, await stack.signIn('bob@ates.test'))).data.myAccount.id}") { id }`,
    accounts: 'accounts { edges { cursor } }',
    companyEarnings: 'companyEarnings',
    dayClosing: 'dayClosing(day: "2000-01-01") { day }',
    dayClosings: 'dayClosings { edges { cursor } }',
    payouts: 'payouts(day: "2000-01-01") { edges { cursor } }',
    scheduledRuns: 'scheduledRuns { edges { cursor } }',
    ledgerAudit: 'ledgerAudit { balanced }',
    closeDay: 'closeDay(day: "2000-01-01") { day }',
    dayStats: 'dayStats { day }',
    daysStats: 'daysStats(from: "2000-01-01", to: "2000-01-02") { day }',
    mostExpensiveTask: 'mostExpensiveTask(from: "2000-01-01", to: "2000-01-02") { reward }',
    mostExpensiveTasks: 'mostExpensiveTasks(period: WEEK, from: "2000-01-01", to: "2000-01-02") { reward }',
    popugsInTheRed: 'popugsInTheRed { totalCount }',
    auditLog: 'auditLog { edges { cursor } }',
    auditExport: 'auditExport(fromDay: "2000-01-01", toDay: "2000-01-02") { expiresAt }',
    login: `login(email: "${EMAILS.ADMIN}", password: "popug") { expiresAt }`,
    loginWithBeak: () => `loginWithBeak(email: "${EMAILS.ADMIN}", photo: "${photo}") { expiresAt }`,
    refreshSession: async () => `refreshSession(refreshToken: "${(await open('login', { email: EMAILS.ADMIN, password: 'popug' })).refreshToken}") { expiresAt }`,
    logout: 'logout(refreshToken: "made up")',
    logoutEverywhere: 'logoutEverywhere',
    enrollBeak: 'enrollBeak(photo: "no photo") { id }',
    changePassword: 'changePassword(current: "popug", next: "four")',
    createUser: 'createUser(input: { name: "", email: "", password: "", roles: [] }) { id }',
    importUser: 'importUser(input: { subject: "", name: "", email: "", roles: [] }) { id }',
    updateUser: `updateUser(id: "${NOBODYS_ID}", input: {}) { id }`,
    deactivateUser: `deactivateUser(id: "${NOBODYS_ID}") { id }`,
    reactivateUser: `reactivateUser(id: "${NOBODYS_ID}") { id }`,
    deleteUser: `deleteUser(id: "${NOBODYS_ID}") { id }`,
    createTask: 'createTask(input: { title: "" }) { id }',
    completeTask: `completeTask(id: "${NOBODYS_ID}") { id }`,
    updateTask: `updateTask(id: "${NOBODYS_ID}", input: {}) { id }`,
    deleteTask: `deleteTask(id: "${NOBODYS_ID}") { id }`,
    assignTask: `assignTask(id: "${NOBODYS_ID}", assigneeId: "${NOBODYS_ID}") { id }`,
    assignTasks: 'assignTasks { assigned }',
  };

  const tried = ACCESS.filter(({ type }) => type !== 'Subscription');
  test.each(tried.flatMap(({ type, field, allowed }) => CALLERS.map((caller) => [`${type}.${field}`, caller, allowed.includes(caller) ? 'lets in' : 'refuses'] as const)))(
    '%s, asked by %s: %s',
    async (name, caller, outcome) => {
      const [type = '', field = ''] = name.split('.');
      // It ends the sessions of all who come after: those have ones of their own.
      const token = field === 'logoutEverywhere' && caller !== 'NOBODY' ? await freshToken(caller) : tokens.get(caller);
      const example = EXAMPLES[field];
      const selection = typeof example === 'function' ? await example() : example;
      const { errors } = await stack.gql(`${type.toLowerCase()} { ${selection ?? field} }`, {}, token);
      const codes = (errors ?? []).map(({ extensions }) => extensions?.code);
      if (outcome === 'lets in') for (const refusal of ['UNAUTHENTICATED', 'FORBIDDEN', 'SERVICE_UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL']) expect(codes).not.toContain(refusal);
      else expect(codes).toEqual([caller === 'NOBODY' ? 'UNAUTHENTICATED' : 'FORBIDDEN']);
    },
  );

  /** Of somebody who is nobody else here. */
  const freshToken = async (caller: Exclude<Caller, 'NOBODY'>): Promise<string> => {
    const input = { name: 'Passing by', email: `${crypto.randomUUID()}@ates.test`, password: 'feathers', roles: caller === 'BY_BEAK' ? ['EMPLOYEE'] : [caller] };
    await stack.gql('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', { input }, tokens.get('ADMIN'));
    const { accessToken } = await open('login', { email: input.email, password: input.password });
    if (caller !== 'BY_BEAK') return accessToken;
    await stack.gql('mutation ($photo: String!) { enrollBeak(photo: $photo) { id } }', { photo }, accessToken);
    return (await open('loginWithBeak', { email: input.email, photo })).accessToken;
  };
});

test('the table of rights has every root field of the API, and no other', () => {
  const supergraph = parse(readFileSync(join(import.meta.dirname, '../rover/supergraph.graphql'), 'utf8'));
  const fields = supergraph.definitions.flatMap((definition) =>
    definition.kind === 'ObjectTypeDefinition' && ['Query', 'Mutation', 'Subscription'].includes(definition.name.value)
      ? (definition.fields ?? []).map((field) => `${definition.name.value as RootType}.${field.name.value}`)
      : [],
  );
  expect(ACCESS.map(({ type, field }) => `${type}.${field}`).sort()).toEqual(fields.sort());
});
