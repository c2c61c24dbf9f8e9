import { createClient } from 'graphql-ws';
import { DEMO_PASSWORD } from './stack-parts.ts';

/**
 * Sends one GraphQL operation to a running stack as one of its users and prints the answer; a subscription prints each event until
 * Ctrl-C.  npm run -s graphql -- <email> '<operation>' ['<variables as JSON>']
 * Environment: URL (the gateway's, default http://localhost:4000), PASSWORD (default: the demo's).
 */
const USAGE = `Usage: npm run -s graphql -- <email> '<operation>' ['<variables as JSON>']     (URL and PASSWORD from the environment)`;
const REQUEST_TIMEOUT_MS = 30_000;
const LOGIN = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }';

const [email, query, variablesText = '{}'] = process.argv.slice(2);
const url = (process.env['URL'] ?? 'http://localhost:4000').replace(/\/$/, '');
await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : JSON.stringify(error)}\n`);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  if (email === undefined || query === undefined) throw new Error(USAGE);
  const variables = JSON.parse(variablesText) as Record<string, unknown>;
  const signedIn = await send({ query: LOGIN, variables: { email, password: process.env['PASSWORD'] ?? DEMO_PASSWORD } });
  const accessToken = signedIn.data?.['login']?.accessToken;
  if (accessToken === undefined) throw new Error(`${email} could not sign in: ${JSON.stringify(signedIn.errors)}`);
  if (/^\s*subscription\b/.test(query)) await printEvents({ query, variables }, accessToken);
  else print(await send({ query, variables }, accessToken));
}

interface Operation {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

interface Answer {
  readonly data?: Record<string, { accessToken?: string } | undefined>;
  readonly errors?: readonly unknown[];
}

async function send(operation: Operation, accessToken?: string): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }) },
    body: JSON.stringify(operation),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new Error(`Nothing answers at ${url}: start the stack (npm start), or set URL to the gateway's address.`, { cause: error });
  });
  return (await response.json()) as Answer;
}

async function printEvents(operation: Operation, accessToken: string): Promise<void> {
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    connectionParams: { authorization: `Bearer ${accessToken}` },
    retryAttempts: 0,
  });
  process.once('SIGINT', () => void client.dispose());
  process.stderr.write('waiting for events, Ctrl-C ends …\n');
  for await (const event of client.iterate(operation)) print(event);
}

function print(answer: unknown): void {
  process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
}
