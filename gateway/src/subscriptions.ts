import { performance } from 'node:perf_hooks';
import { executeQueryPlan, type GraphQLDataSource, type ServiceMap } from '@apollo/gateway';
import { CLIENT_ADDRESS_EXTENSION, CLIENT_AGENT_EXTENSION } from '@ates/service-kit/client-origin';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { GraphQLError, Kind, type FragmentDefinitionNode, type GraphQLFormattedError } from 'graphql';
import { createEventStream } from './event-stream.ts';
import { settled, type ExecutionResult, type Federation } from './federation.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { EVENTS_AT_ONCE_MAX, EVENTS_WAITING_MAX } from './limits.ts';
import { logFailure } from './operation-log.ts';
import type { OperationContext, SubgraphAnswer, SubgraphError } from './operation-context.ts';
import { EVENT_SERVICE, type PreparedOperation, type SubscriptionPlan } from './operation-plans.ts';
import { outcomeOf, presentError, presentErrors } from './present-error.ts';
import type { UpstreamSockets } from './upstream-sockets.ts';

/** What a client gets for an event: data shaped for its selection, errors with codes. */
export interface EventResult {
  readonly data?: ExecutionResult['data'];
  readonly errors?: readonly GraphQLFormattedError[];
}

/** A subscription of a client, ready to be started. */
export interface Subscription {
  readonly prepared: PreparedOperation;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: OperationContext;
}

export interface Subscriptions {
  /**
   * Starts a federated subscription: the plan's primary fetch becomes a subscription at its subgraph, and each event is
   * completed by the rest of the plan, with the user's token, as a query would be.
   * @returns results in the order of events. It throws a StreamFailure with formatted errors when the subgraph refuses,
   * is gone for too long, or is faster than the client.
   */
  start(subscription: Subscription, plan: SubscriptionPlan): AsyncIterableIterator<EventResult>;
}

interface SubscriptionParts {
  readonly federation: Federation;
  readonly upstream: UpstreamSockets;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Stands for the subgraph that delivered the event: its answer is there already. */
const eventSource: GraphQLDataSource = {
  process: async ({ context }) => (context as OperationContext).event ?? {},
};

/** Executes subscriptions over any subgraph by the query planner's own plans. */
export function createSubscriptions({ federation, upstream, metrics, logger }: SubscriptionParts): Subscriptions {
  const serviceMap: ServiceMap = Object.assign(Object.create(federation.dataSources) as ServiceMap, { [EVENT_SERVICE]: eventSource });

  const complete = async (subscription: Subscription, plan: SubscriptionPlan, event: SubgraphAnswer): Promise<EventResult> => {
    const startedAt = performance.now();
    const context: OperationContext = { ...subscription.context, fetchFailures: [], event };
    const result = await runInTrace(context.trace, () => completeEvent({ serviceMap, logger }, { ...subscription, context }, plan));
    metrics.eventSeconds.observe((performance.now() - startedAt) / 1_000);
    const outcome = outcomeOf(result.errors);
    metrics.events.inc({ outcome });
    if (result.errors !== undefined) logSubscriptionFailure(logger, subscription, result.errors, context);
    return result;
  };

  return {
    start: (subscription, plan) => {
      const { context, variables } = subscription;
      const fail = (errors: readonly SubgraphError[]): readonly GraphQLFormattedError[] => {
        const formatted = runInTrace(context.trace, () => errors.map((error) => presentSubgraphError(error, logger)));
        metrics.operations.inc({ kind: 'subscription', outcome: outcomeOf(formatted) });
        logSubscriptionFailure(logger, subscription, formatted, context);
        return formatted;
      };
      const { primary } = plan;
      const payload = {
        query: primary.operation,
        operationName: primary.operationName,
        variables: pick(variables, primary.variableUsages ?? []),
        extensions: {
          authorization: context.authorization,
          traceparent: context.trace.traceparent,
          [CLIENT_ADDRESS_EXTENSION]: context.client.clientAddress,
          [CLIENT_AGENT_EXTENSION]: context.client.clientAgent,
        },
      };
      return createEventStream<SubgraphAnswer, EventResult, readonly GraphQLFormattedError[]>({
        open: (sink) => {
          metrics.subscriptions.inc();
          const unsubscribe = upstream.subscribe(primary.serviceName, payload, {
            // A subgraph that refuses delivers one answer that has errors and no data.
            event: (answer) => (isRefusal(answer) ? sink.fail(fail(answer.errors)) : sink.event(answer)),
            fail: (errors) => sink.fail(fail(errors)),
            end: () => {
              metrics.operations.inc({ kind: 'subscription', outcome: 'ok' });
              sink.end();
            },
          });
          return () => {
            metrics.subscriptions.dec();
            unsubscribe();
          };
        },
        complete: (event) => complete(subscription, plan, event),
        atOnceMax: EVENTS_AT_ONCE_MAX,
        waitingMax: EVENTS_WAITING_MAX,
        overflow: () => fail([tooFast()]),
      });
    },
  };
}

async function completeEvent(
  { serviceMap, logger }: { readonly serviceMap: ServiceMap; readonly logger: Logger },
  { prepared, variables, context }: Subscription,
  plan: SubscriptionPlan,
): Promise<EventResult> {
  const { supergraph, document, operation } = prepared;
  const fragments = document.definitions.filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION);
  try {
    const { data, errors } = settled(
      await executeQueryPlan(
        plan.perEvent,
        serviceMap,
        { request: { variables }, context, metrics: {}, logger } as never,
        { schema: supergraph.schema, operation, fragments: Object.fromEntries(fragments.map((fragment) => [fragment.name.value, fragment])) },
        supergraph.supergraphSchema,
        supergraph.apiSchema,
      ),
    );
    return errors === undefined || errors.length === 0 ? { data } : { data: data ?? null, errors: presentErrors(errors, logger) };
  } catch (error) {
    const failure = new GraphQLError('The event could not be completed', { originalError: error instanceof Error ? error : new Error(String(error)) });
    return { data: null, errors: presentErrors([failure], logger) };
  }
}

function isRefusal(answer: SubgraphAnswer): answer is { readonly errors: readonly SubgraphError[] } {
  return answer.data === undefined && answer.errors !== undefined && answer.errors.length > 0;
}

function presentSubgraphError(error: SubgraphError, logger: Logger): GraphQLFormattedError {
  const { message, path } = error;
  const extensions = { ...error.extensions, serviceName: '' };
  return presentError({ message, ...(path !== undefined && { path }), extensions }, error, logger);
}

function tooFast(): SubgraphError {
  const code: ErrorCode = 'RATE_LIMITED';
  const message = `More than ${EVENTS_WAITING_MAX} events wait to be delivered: read faster or select less, and subscribe again`;
  return { message, extensions: { code } };
}

function pick(variables: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => variables[name] !== undefined).map((name) => [name, variables[name]]));
}

function logSubscriptionFailure(logger: Logger, { prepared }: Subscription, errors: readonly GraphQLFormattedError[], context: OperationContext): void {
  const operationName = prepared.operation.name?.value;
  runInTrace(context.trace, () => logFailure(logger, { kind: 'subscription', operationName, outcome: outcomeOf(errors), errors, context }));
}
