import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DEMO_ADMIN_EMAIL, DEMO_PASSWORD } from './stack-parts.ts';

interface DemoUser {
  readonly name: string;
  readonly email: string;
  readonly roles: readonly string[];
}

/** Who is made besides the admin. */
export const DEMO_USERS: readonly DemoUser[] = [
  { name: 'Madame Macaw', email: 'manager@ates.test', roles: ['MANAGER'] },
  { name: 'Count Kakapo', email: 'accountant@ates.test', roles: ['ACCOUNTANT'] },
  { name: 'Ann Amazon', email: 'ann@ates.test', roles: ['EMPLOYEE'] },
  { name: 'Bob Budgerigar', email: 'bob@ates.test', roles: ['EMPLOYEE'] },
  { name: 'Cleo Cockatoo', email: 'cleo@ates.test', roles: ['EMPLOYEE'] },
];

const MAX_ATTEMPTS = 5;
const PAUSE_MS = 500;
const REQUEST_TIMEOUT_MS = 10_000;

const LOGIN = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }';
const CREATE_USER = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }';

/**
 * Makes the demo's users through the gateway's public API, once per DATA_DIR (a file there remembers it).
 * @param graphqlUrl the gateway's
 * @returns whether they were made now
 * @throws the API's last error after 5 attempts; a later start tries again
 */
export async function provideDemoData(dataDir: string, graphqlUrl: string): Promise<boolean> {
  const marker = join(dataDir, 'demo-data.json');
  if (existsSync(marker)) return false;
  await withRetries(async () => {
    const { login } = await send<{ login: { accessToken: string } }>(graphqlUrl, LOGIN, { email: DEMO_ADMIN_EMAIL, password: DEMO_PASSWORD });
    for (const user of DEMO_USERS) {
      const input = { ...user, password: DEMO_PASSWORD, idempotencyKey: `demo-${user.email}` };
      await send(graphqlUrl, CREATE_USER, { input }, login.accessToken);
    }
  });
  writeFileSync(marker, `${JSON.stringify({ madeAt: new Date().toISOString(), users: DEMO_USERS.length + 1 })}\n`);
  return true;
}

async function withRetries(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
      await delay(PAUSE_MS);
    }
  }
}

async function send<Data>(url: string, query: string, variables: object, accessToken?: string): Promise<Data> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }) },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string; extensions?: { code?: string } }[] };
  const [error] = errors ?? [];
  if (error !== undefined) throw new Error(`${error.extensions?.code ?? 'error'}: ${error.message}`);
  if (data === undefined) throw new Error(`the gateway answered ${response.status} without data`);
  return data;
}
