import { performance } from 'node:perf_hooks';
import { CLIENT_ADDRESS_HEADER, CLIENT_AGENT_HEADER } from '@ates/service-kit/client-origin';
import { GATEWAY_SECRET_HEADER, STRANGER_REFUSED } from '@ates/service-kit/gateway-secret';
import type { GraphQLDataSource } from '@apollo/gateway';
import { Pool } from 'undici';
import type { SubgraphEndpoint } from './config.ts';
import { errorsForFetch, type FetchFailure, type SubgraphRequest } from './fetch-errors.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { post, SubgraphUnreachable, type HttpAnswer } from './http-post.ts';
import { SUBGRAPH_CONNECT_TIMEOUT_MS, SUBGRAPH_CONNECTIONS_MAX, SUBGRAPH_TIMEOUT_MS } from './limits.ts';
import type { OperationContext, SubgraphAnswer } from './operation-context.ts';

/** The gateway's connections to one subgraph. */
export interface SubgraphClient extends GraphQLDataSource {
  readonly name: string;
  readonly url: string;
  /** Null when the subgraph says that it is ready, else why it is not, in words without its address. */
  check(): Promise<string | null>;
  /** Lets fetches under way finish. */
  close(): Promise<void>;
}

const KEEP_ALIVE_MS = 30_000;
const CHECK_TIMEOUT_MS = 1_500;

/**
 * A data source for Apollo's executor on pooled, kept-alive connections. It sends the user's token, from where the client
 * came, the trace and the gateway's secret, nothing else of the client's request; it never throws: a fetch that fails is an answer with errors
 * at the paths of the fields that it was for, so that the rest of the operation keeps its data.
 */
export function createSubgraphClient(endpoint: SubgraphEndpoint, metrics: GatewayMetrics): SubgraphClient {
  const { name, url, secret } = endpoint;
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, {
    connections: SUBGRAPH_CONNECTIONS_MAX,
    connect: { timeout: SUBGRAPH_CONNECT_TIMEOUT_MS },
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The deadline of a fetch covers these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const path = `${pathname}${search}`;

  const fetchOnce = async (request: SubgraphRequest, context: OperationContext): Promise<SubgraphAnswer | FetchFailure> => {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json',
      [GATEWAY_SECRET_HEADER]: secret,
      traceparent: context.trace.traceparent,
    };
    const { clientAddress, clientAgent } = context.client;
    if (context.authorization !== undefined) headers['authorization'] = context.authorization;
    if (clientAddress !== null) headers[CLIENT_ADDRESS_HEADER] = clientAddress;
    if (clientAgent !== null) headers[CLIENT_AGENT_HEADER] = clientAgent;
    const body = JSON.stringify({ query: request.query, variables: request.variables, operationName: request.operationName });
    try {
      return readAnswer(await post(pool, { path, headers, body, deadlineMs: SUBGRAPH_TIMEOUT_MS, retryOnce: isQuery(request.query) }));
    } catch (error) {
      if (!(error instanceof SubgraphUnreachable)) throw error;
      return { code: 'SERVICE_UNAVAILABLE', reason: error.message };
    }
  };

  return {
    name,
    url,
    process: async (options) => {
      const request = options.request as SubgraphRequest;
      const context = options.context as OperationContext;
      const startedAt = performance.now();
      const answer = await fetchOnce(request, context);
      const seconds = (performance.now() - startedAt) / 1_000;
      if (!('reason' in answer)) {
        metrics.fetchSeconds.observe({ subgraph: name, outcome: 'ok' }, seconds);
        return withPaths(request, answer);
      }
      metrics.fetchSeconds.observe({ subgraph: name, outcome: answer.code }, seconds);
      context.fetchFailures.push(`${name}: ${answer.reason}`);
      return { errors: errorsForFetch(request, answer) };
    },
    check: () => checkReadiness(pool),
    close: () => pool.close(),
  };
}

function isQuery(operation: string): boolean {
  return operation.startsWith('query') || operation.startsWith('{');
}

/** What a subgraph said, or why that is no GraphQL answer to this gateway. */
function readAnswer({ status, body }: HttpAnswer): SubgraphAnswer | FetchFailure {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return badAnswer(status, 'is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) return badAnswer(status, 'is not a GraphQL answer');
  const { data, errors } = parsed as { data?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.some((error: { extensions?: { reason?: unknown } }) => error.extensions?.reason === STRANGER_REFUSED)) {
    return { code: 'INTERNAL', reason: `the gateway's secret was refused (HTTP ${status}): give both sides the same one` };
  }
  const hasData = typeof data === 'object' && data !== null;
  if (!hasData && !(Array.isArray(errors) && errors.length > 0 && errors.every(isError))) {
    return data === null ? { data } : badAnswer(status, 'is not a GraphQL answer');
  }
  return parsed;
}

function isError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && typeof (error as { message?: unknown }).message === 'string';
}

function badAnswer(status: number, problem: string): FetchFailure {
  return { code: status >= 500 ? 'SERVICE_UNAVAILABLE' : 'INTERNAL', reason: `the answer ${problem} (HTTP ${status})` };
}

/** An error of the whole request has no path of its own; here it gets those of the fields that the fetch was for. */
function withPaths(request: SubgraphRequest, answer: SubgraphAnswer): { data?: Record<string, unknown> | null; errors?: SubgraphAnswer['errors'] } {
  if (answer.errors === undefined || answer.errors.every((error) => error.path !== undefined)) return answer;
  const errors = answer.errors.flatMap((error) => (error.path === undefined ? errorsForFetch(request, error) : [error]));
  return { ...answer, errors };
}

async function checkReadiness(pool: Pool): Promise<string | null> {
  const status = async (path: string): Promise<number> => {
    const answer = await pool.request({ path, method: 'GET', signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) });
    await answer.body.dump();
    return answer.statusCode;
  };
  try {
    const ready = await status('/readyz');
    if (ready === 200) return null;
    if (ready === 404) return (await status('/healthz')) === 200 ? null : 'does not say that it is healthy';
    return `says that it is not ready (HTTP ${ready})`;
  } catch (error) {
    const { code, name } = error as { code?: string; name?: string };
    return `does not answer (${code ?? name ?? 'unknown reason'})`;
  }
}
