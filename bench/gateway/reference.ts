import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Pool } from 'undici';

/** An operation as a server without GraphQL does it. */
export interface Recipe {
  readonly query: string;
  /** The fetches that ours makes; those of a wave at the same time, after all of the wave before. */
  readonly waves: readonly (readonly { readonly origin: string; readonly path: string; readonly body: string }[])[];
  /** What is answered. */
  readonly data: unknown;
}

/**
 * What Node can do at best: takes a request, makes the same fetches as our gateway with undici's `dispatch`, parses each answer, and writes
 * data as large as the right one, which it has been told. Nothing is planned, checked, merged or limited.
 */
function serve(recipes: readonly Recipe[], port: number): void {
  const byQuery = new Map(recipes.map((recipe) => [recipe.query, recipe]));
  const server = createServer((request, response) => {
    answer(byQuery, request, response).catch((error: Error) => response.writeHead(500).end(error.message));
  });
  server.listen(port, '127.0.0.1');
}

const CONNECTIONS = 64;
const pools = new Map<string, Pool>();

async function answer(recipes: ReadonlyMap<string, Recipe>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { query } = JSON.parse(await textOf(request)) as { query: string };
  const recipe = recipes.get(query);
  const authorization = request.headers.authorization ?? '';
  for (const wave of recipe?.waves ?? []) {
    const answers = await Promise.all(wave.map((fetch) => fetchText(fetch, authorization)));
    for (const text of answers) {
      if ((JSON.parse(text) as { data?: unknown }).data == null) throw new Error('a subgraph has answered without data');
    }
  }
  const body = JSON.stringify({ data: recipe?.data ?? { __typename: 'Query' } });
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }).end(body);
}

function textOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => resolve(oneOf(chunks).toString()));
    request.on('error', reject);
  });
}

function fetchText({ origin, path, body }: Recipe['waves'][number][number], authorization: string): Promise<string> {
  const pool = pools.get(origin) ?? new Pool(origin, { connections: CONNECTIONS });
  pools.set(origin, pool);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    pool.dispatch(
      { path, method: 'POST', headers: { 'content-type': 'application/json', authorization }, body },
      {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: (_controller, chunk) => void chunks.push(chunk),
        onResponseEnd: () => resolve(oneOf(chunks).toString()),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

function oneOf(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

const [recipesFile = '', port] = process.argv.slice(2);
serve(JSON.parse(readFileSync(recipesFile, 'utf8')) as Recipe[], Number(port));
