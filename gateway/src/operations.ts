import { performance } from 'node:perf_hooks';
import { DomainError, HTTP_STATUS } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { tracingIsOn } from '@ates/service-kit/tracing';
import { endOperationSpan, startOperationSpan, startSubscriptionEventSpan } from '@ates/service-kit/tracing-graphql';
import { hasRole } from '@ates/service-kit/viewer';
import { getVariableValues, GraphQLError, type DocumentNode, type GraphQLFormattedError } from 'graphql';
import type { GatewayConfig } from './config.ts';
import type { Execution, ExecutionResult } from './execution/compiled-operation.ts';
import type { Federation } from './federation.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { costError } from './limits/operation-cost.ts';
import type { RateLimits } from './limits/rate-limits.ts';
import type { Safelist } from './limits/safelist.ts';
import { variablesViolation } from './limits/variables-bounds.ts';
import { createOperationCache, planText, type OperationCacheSettings, type ReadyOperation } from './operation-cache.ts';
import type { OperationContext, SubgraphAnswer } from './operation-context.ts';
import { createOperationRecords } from './operation-records.ts';
import { refusal } from './operation-validation.ts';
import { createPersistedQueries, malformed } from './persisted-queries.ts';
import { OperationRefused, type OperationAnswer, type OperationRequest, type Operations, type PreparedOperation, type Transport } from './prepared-operation.ts';
import { outcomeOf, presentErrors, presentExecutionErrors } from './present-error.ts';

export type OperationSettings = OperationCacheSettings & Pick<GatewayConfig, 'persistedQueriesMax' | 'queryPlans'>;

interface OperationsParts {
  readonly federation: Federation;
  readonly settings: OperationSettings;
  readonly rateLimits: RateLimits;
  readonly safelist: Safelist;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** With what `execute` needs besides. */
interface Prepared extends PreparedOperation {
  readonly ready: ReadyOperation;
}

interface Variables {
  readonly given: Readonly<Record<string, unknown>>;
  readonly coerced: Readonly<Record<string, unknown>>;
}

const NO_VARIABLES: Readonly<Record<string, unknown>> = Object.freeze({});

/** The way of every operation, whichever transport brings it: from a request to something that runs, and from there to an answer. */
export function createOperations(parts: OperationsParts): Operations {
  const { federation, metrics, safelist, logger } = parts;
  const records = createOperationRecords(metrics, logger);
  const prepare = createPreparation(parts, createOperationCache({ ...parts, records, admit: (query, document) => checkListed(safelist, query, document) }));

  const run = async (prepared: PreparedOperation, context: OperationContext, work: (execution: Execution) => Promise<ExecutionResult>): Promise<OperationAnswer> => {
    const { variables, coercedVariables } = prepared;
    try {
      const { data, errors } = await work({ variables, coercedVariables, fetch: federation.fetchFor(context) });
      if (errors === undefined || errors.length === 0) return { data };
      return { errors: runInTrace(context.trace, () => presentExecutionErrors(errors, logger)), data };
    } catch (error) {
      const failure = new GraphQLError('The operation could not be executed', { originalError: asError(error) });
      return { errors: runInTrace(context.trace, () => presentErrors([failure], logger)), data: null };
    }
  };

  return {
    prepare: (request, context, transport) => {
      let kind: string | undefined;
      try {
        return prepare(request, context, { transport, tellKind: (told) => (kind = told) });
      } catch (error) {
        const refused = runInTrace(context.trace, () => refusedBy(error, logger));
        if (tracingIsOn()) endOperationSpan(startOperationSpan(context.trace, undefined, context.startedAt), refused.errors);
        records.refused(context, refused.errors, { operationName: request.operationName, ...(kind !== undefined && { kind }) });
        throw refused;
      }
    },
    execute: async (prepared) => {
      const { compiled, queryPlan } = prepared;
      const span = tracingIsOn() ? startOperationSpan(prepared.context.trace, { type: prepared.kind, name: prepared.operationName }, prepared.context.startedAt) : undefined;
      const context = span === undefined ? prepared.context : { ...prepared.context, trace: span.trace };
      const answer = await run(prepared, context, (execution) => compiled.execute(execution));
      endOperationSpan(span, answer.errors);
      (prepared as Prepared).ready.record.ended(context, answer.errors);
      if (queryPlan === undefined) return answer;
      // The second is where Apollo's tools look.
      const text = queryPlan();
      return { ...answer, extensions: { queryPlan: text, __queryPlanExperimental: text } };
    },
    completeEvent: async (prepared, event: SubgraphAnswer) => {
      const startedAt = performance.now();
      const span = tracingIsOn() ? startSubscriptionEventSpan(prepared.operationName, prepared.context.trace) : undefined;
      const context: OperationContext = { ...prepared.context, trace: span?.trace ?? prepared.context.trace, fetchFailures: [], startedAt };
      const answer = await run(prepared, context, (execution) => prepared.compiled.completeEvent(event, execution));
      endOperationSpan(span, answer.errors);
      metrics.eventSeconds.observe((performance.now() - startedAt) / 1_000);
      metrics.events.inc({ outcome: outcomeOf(answer.errors) });
      if (answer.errors !== undefined) records.failedEvent(context, answer.errors, prepared.operationName);
      return answer;
    },
  };
}

interface Preparing {
  readonly transport: Transport;
  /** For what is refused after it is known. */
  readonly tellKind: (kind: string) => void;
}

function createPreparation({ federation, settings, rateLimits, safelist }: OperationsParts, cache: ReturnType<typeof createOperationCache>) {
  const persisted = createPersistedQueries(safelist, settings.persistedQueriesMax);

  return (request: OperationRequest, context: OperationContext, { transport, tellKind }: Preparing): Prepared => {
    checkRate(rateLimits, context);
    const { operationName, variables: given } = membersOf(request);
    const found = persisted.find(request);
    const supergraph = federation.current();
    if (supergraph === undefined) throw new DomainError('SERVICE_UNAVAILABLE', 'The gateway is starting: try again in a second');
    const ready = cache.get(supergraph, found.query, operationName);
    if (!('compiled' in ready)) throw refusedWith(ready);
    const { compiled } = ready;
    tellKind(compiled.kind);
    checkListed(safelist, found.query, ready.document);
    if (compiled.kind === 'subscription' && transport === 'http') throw needsStream();
    const variables = ready.hasVariables ? coerce(ready, given, settings.introspection) : { given: given ?? NO_VARIABLES, coerced: NO_VARIABLES };
    checkCost(ready, variables.coerced, settings.maxCost);
    found.remember?.();
    return {
      kind: compiled.kind,
      operationName: ready.operationName,
      query: ready.query,
      compiled,
      supergraph,
      variables: variables.given,
      coercedVariables: variables.coerced,
      context,
      asksGatewayAlone: ready.asksGatewayAlone,
      queryPlan: wantsPlan(request, context) && mayHavePlan(settings.queryPlans, context) ? () => planText(ready) : undefined,
      ready,
    };
  };
}

function checkListed(safelist: Safelist, query: string, document: DocumentNode): void {
  const unlisted = safelist.check(query, document);
  if (unlisted !== null) throw unlisted;
}

function checkRate(rateLimits: RateLimits, { viewer, client }: OperationContext): void {
  const limited = rateLimits.take({ userId: viewer?.userId, address: client.clientAddress ?? undefined });
  if (limited === null) return;
  const { message, retryAfterSeconds } = limited;
  throw new DomainError('RATE_LIMITED', message, { retryAfterSeconds });
}

/** The members of a request, each undefined where it is null. */
function membersOf({ operationName, variables, extensions }: OperationRequest): { operationName: string | undefined; variables: Readonly<Record<string, unknown>> | undefined } {
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') throw malformed('"operationName" must be a text');
  if (!isMapOrAbsent(variables)) throw malformed('"variables" must be an object: names with their values');
  if (!isMapOrAbsent(extensions)) throw malformed('"extensions" must be an object');
  // Clients that have no name to send may send none in this way.
  return { operationName: operationName === '' ? undefined : (operationName ?? undefined), variables: variables ?? undefined };
}

function isMapOrAbsent(value: unknown): value is Readonly<Record<string, unknown>> | null | undefined {
  return value === undefined || value === null || (typeof value === 'object' && !Array.isArray(value));
}

/** @param tellsSchema whether a mistyped name may be answered with the right one */
function coerce({ supergraph, operation }: ReadyOperation, given: Readonly<Record<string, unknown>> = NO_VARIABLES, tellsSchema: boolean): Variables {
  const violation = variablesViolation(given);
  if (violation !== null) throw violation;
  const { coerced, errors } = getVariableValues(supergraph.schema, operation.variableDefinitions ?? [], given, { maxErrors: 10, hideSuggestions: !tellsSchema });
  if (errors !== undefined) throw refusedWith(errors.map((error) => refusal(error)));
  return { given, coerced };
}

function checkCost({ price }: ReadyOperation, coercedVariables: Readonly<Record<string, unknown>>, maxCost: number): void {
  if (price === undefined) return;
  const cost = price(coercedVariables);
  if (cost > maxCost) throw costError(cost, maxCost);
}

function wantsPlan({ extensions }: OperationRequest, { wantsQueryPlan }: OperationContext): boolean {
  return wantsQueryPlan === true || (extensions as { queryPlan?: unknown } | null | undefined)?.queryPlan === true;
}

function mayHavePlan(queryPlans: GatewayConfig['queryPlans'], { viewer }: OperationContext): boolean {
  return typeof queryPlans === 'string' ? queryPlans === 'on' : hasRole(viewer, queryPlans.role);
}

function needsStream(): GraphQLError {
  const message =
    'Subscriptions need a stream: connect to this URL by WebSocket with the protocol graphql-transport-ws, or send "accept: text/event-stream" or "accept: multipart/mixed;subscriptionSpec=1.0"';
  return refusal(new GraphQLError(message), 'SUBSCRIPTION_OVER_HTTP');
}

/** Carries several errors of one request. */
class Refusals extends Error {
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super(errors[0]?.message);
    this.errors = errors;
  }
}

function refusedWith(errors: readonly GraphQLError[]): Refusals {
  return new Refusals(errors);
}

function refusedBy(error: unknown, logger: Logger): OperationRefused {
  if (error instanceof DomainError) {
    const { code, message, details } = error;
    const wait = details['retryAfterSeconds'];
    return new OperationRefused(HTTP_STATUS[code], [{ message, extensions: { ...details, code } }], typeof wait === 'number' ? { 'retry-after': String(wait) } : {});
  }
  const errors = error instanceof Refusals ? error.errors : [error instanceof GraphQLError ? error : new GraphQLError('', { originalError: asError(error) })];
  const formatted: GraphQLFormattedError[] = presentErrors(errors, logger);
  return new OperationRefused(statusOf(formatted), formatted);
}

function statusOf([first]: readonly GraphQLFormattedError[]): number {
  const code = String(first?.extensions?.['code']);
  // A step of the protocol of persisted queries, no failure.
  if (code.startsWith('PERSISTED_QUERY_')) return 200;
  return (HTTP_STATUS as Readonly<Record<string, number>>)[code] ?? 500;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
