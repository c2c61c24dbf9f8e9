import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { GraphQLError } from 'graphql';
import { cancelOperation, type OperationContext } from '../operation-context.ts';
import { OperationRefused, type OperationRequest, type Operations, type PreparedOperation, type Transport } from '../prepared-operation.ts';
import { presentErrors } from '../present-error.ts';

interface Asked {
  readonly request: OperationRequest;
  readonly context: OperationContext;
  readonly transport: Transport;
}

/** The operation ready to run, or why it is refused; what goes wrong on our side is a refusal too, masked and logged. */
export function prepareOrRefuse({ operations, logger }: { readonly operations: Operations; readonly logger: Logger }, { request, context, transport }: Asked): PreparedOperation | OperationRefused {
  try {
    return operations.prepare(request, context, transport);
  } catch (error) {
    if (error instanceof OperationRefused) return error;
    const failure = new GraphQLError('The operation could not be prepared', { originalError: error instanceof Error ? error : new Error(String(error)) });
    return new OperationRefused(500, runInTrace(context.trace, () => presentErrors([failure], logger)));
  }
}

/** Nobody waits for the answer of a query or mutation any more. A change that has begun is brought to its end. */
export function leaveOperation({ kind, context }: PreparedOperation): void {
  if (kind === 'query') cancelOperation(context);
}

/** The trace that a client asks its operation to belong to. */
export function traceparentIn({ extensions }: OperationRequest): string | undefined {
  const traceparent = (extensions as { readonly traceparent?: unknown } | null | undefined)?.traceparent;
  return typeof traceparent === 'string' ? traceparent : undefined;
}

