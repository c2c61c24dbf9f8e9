import type { Pool } from 'undici';

const CHECK_TIMEOUT_MS = 1_500;
const UNREADY = 503;

/**
 * Null when a subgraph is ready: it says so at `/readyz`, or, where it has no such path, it answers a query. Else why it is not, in words
 * without its address.
 * @param path of its GraphQL endpoint. @param headers names and values in turn, as every fetch has them
 */
export async function checkReadiness(pool: Pool, path: string, headers: readonly string[]): Promise<string | null> {
  try {
    const { statusCode } = await ask(pool, { method: 'GET', path: '/readyz' });
    if (statusCode === 200) return null;
    if (statusCode === UNREADY) return `says that it is not ready (HTTP ${statusCode})`;
    const answer = await ask(pool, { method: 'POST', path, headers: [...headers], body: '{"query":"{ __typename }"}' });
    return isGraphQL(answer.text) ? null : `does not answer a query (HTTP ${answer.statusCode})`;
  } catch (error) {
    const { code, name } = error as { code?: string; name?: string };
    return `does not answer (${code ?? name ?? 'unknown reason'})`;
  }
}

async function ask(pool: Pool, request: { method: 'GET' | 'POST'; path: string; headers?: string[]; body?: string }) {
  const { statusCode, body } = await pool.request({ ...request, signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) });
  return { statusCode, text: await body.text() };
}

/** Also a refusal is an answer: it is there and speaks GraphQL. */
function isGraphQL(text: string): boolean {
  try {
    const answer = JSON.parse(text) as { data?: unknown; errors?: unknown } | null;
    return typeof answer === 'object' && answer !== null && (answer.data !== undefined || Array.isArray(answer.errors));
  } catch {
    return false;
  }
}
