import { performance } from 'node:perf_hooks';
import { CLIENT_ADDRESS_HEADER, CLIENT_AGENT_HEADER } from '@ates/service-kit/client-origin';
import { GATEWAY_SECRET_HEADER, STRANGER_REFUSED } from '@ates/service-kit/gateway-secret';
import { tracingIsOn } from '@ates/service-kit/tracing';
import { endFetchSpan, startFetchSpan } from '@ates/service-kit/tracing-graphql';
import { Pool } from 'undici';
import type { GatewayConfig, SubgraphEndpoint } from './config.ts';
import type { FetchRequest } from './execution/compiled-operation.ts';
import { createDeadlines } from './fetch-deadlines.ts';
import type { FetchFailure } from './fetch-errors.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { HttpAnswer, HttpOutcome } from './http-post.ts';
import type { OperationContext, SubgraphAnswer } from './operation-context.ts';
import { createHttpPool } from './subgraph-http/http-pool.ts';
import { checkReadiness } from './subgraph-readiness.ts';

/** The gateway's connections to one subgraph. */
export interface SubgraphClient {
  readonly name: string;
  readonly url: string;
  /** Sends one request; never rejects. */
  fetch(request: FetchRequest, context: OperationContext): Promise<SubgraphAnswer | FetchFailure>;
  /** Null when the subgraph says that it is ready, else why it is not, in words without its address. */
  check(): Promise<string | null>;
  /** Lets fetches under way finish. */
  close(): Promise<void>;
}

export type SubgraphClientSettings = Pick<GatewayConfig, 'subgraphTimeoutMs' | 'subgraphConnections'>;

const CHECK_CONNECT_TIMEOUT_MS = 2_000;
/** An operation whose plan has many steps is given up when it took so many times as long as one fetch may take. */
const DEADLINES_OF_AN_OPERATION = 3;

/**
 * Fetches from one subgraph on pooled, kept-alive connections. It sends the user's token, from where the client
 * came, the trace and the gateway's secret, nothing else of the client's request.
 */
export function createSubgraphClient(endpoint: SubgraphEndpoint, metrics: GatewayMetrics, settings: SubgraphClientSettings): SubgraphClient {
  const { name, url, secret } = endpoint;
  const { origin, pathname, search } = new URL(url);
  const ownHeaders = ['content-type', 'application/json', 'accept', 'application/json', ...(secret === undefined ? [] : [GATEWAY_SECRET_HEADER, secret])];
  const pool = createHttpPool({ url, headers: ownHeaders, connections: settings.subgraphConnections });
  // Apart, so that no fetch is in the way of being seen.
  const checks = new Pool(origin, { connections: 1, allowH2: false, connect: { timeout: CHECK_CONNECT_TIMEOUT_MS } });
  const deadlines = createDeadlines(settings.subgraphTimeoutMs);
  const operationMs = settings.subgraphTimeoutMs * DEADLINES_OF_AN_OPERATION;
  const seconds = metrics.fetchSeconds(name);
  const ok = seconds('ok');

  const headersFor = ({ authorization, client }: OperationContext, traceparent: string): string[] => {
    const headers = ['traceparent', traceparent];
    if (authorization !== undefined) headers.push('authorization', authorization);
    if (client.clientAddress !== null) headers.push(CLIENT_ADDRESS_HEADER, client.clientAddress);
    if (client.clientAgent !== null) headers.push(CLIENT_AGENT_HEADER, client.clientAgent);
    return headers;
  };
  const finish = (outcome: HttpOutcome, context: OperationContext, startedAt: number): SubgraphAnswer | FetchFailure => {
    const answer = 'problem' in outcome ? unavailable(outcome.problem) : readAnswer(outcome);
    const taken = (performance.now() - startedAt) / 1_000;
    if ('reason' in answer) {
      seconds(answer.code).observe(taken);
      context.fetchFailures.push(`${name}: ${answer.reason}`);
    } else {
      ok.observe(taken);
    }
    return answer;
  };

  return {
    name,
    url,
    fetch: ({ body, kind }, context) =>
      new Promise((resolve) => {
        const startedAt = performance.now();
        const span = tracingIsOn() ? startFetchSpan(name, context.trace) : undefined;
        const done = (outcome: HttpOutcome): void => {
          const answer = finish(outcome, context, startedAt);
          endFetchSpan(span, 'reason' in answer ? answer.code : undefined);
          resolve(answer);
        };
        if (startedAt - context.startedAt > operationMs) return done({ problem: `the operation took more than ${operationMs} ms before this fetch` });
        return pool.post({ headers: headersFor(context, (span?.trace ?? context.trace).traceparent), body, deadlines, cancellation: context.cancellation, retryOnce: kind === 'query' }, done);
      }),
    check: () => checkReadiness(checks, `${pathname}${search}`, ownHeaders),
    close: async () => {
      await Promise.all([pool.close(settings.subgraphTimeoutMs), checks.close()]);
    },
  };
}

function unavailable(reason: string): FetchFailure {
  return { code: 'SERVICE_UNAVAILABLE', reason };
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
  const hasData = typeof data === 'object' && data !== null && !Array.isArray(data);
  if (errors === undefined && hasData) return { data: data as Record<string, unknown> };
  if (Array.isArray(errors) && errors.some((error: { extensions?: { reason?: unknown } } | null) => error?.extensions?.reason === STRANGER_REFUSED)) {
    return { code: 'INTERNAL', reason: `the gateway's secret was refused (HTTP ${status}): give both sides the same one` };
  }
  const told = Array.isArray(errors) ? errors.filter(isError) : [];
  if (!hasData && data !== null && (told.length === 0 || told.length < (errors as unknown[]).length)) return badAnswer(status, 'is not a GraphQL answer');
  return { ...(data !== undefined && { data: hasData ? (data as Record<string, unknown>) : null }), ...(told.length > 0 && { errors: told }) };
}

function isError(error: unknown): error is NonNullable<SubgraphAnswer['errors']>[number] {
  return typeof error === 'object' && error !== null && typeof (error as { message?: unknown }).message === 'string';
}

function badAnswer(status: number, problem: string): FetchFailure {
  return { code: status >= 500 ? 'SERVICE_UNAVAILABLE' : 'INTERNAL', reason: `the answer ${problem} (HTTP ${status})` };
}
