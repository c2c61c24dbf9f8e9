import type { Logger } from '@ates/service-kit/logger';
import type { OperationContext } from './operation-context.ts';

export interface FailedOperation {
  readonly kind: string;
  readonly operationName: string | null | undefined;
  readonly outcome: string;
  readonly errors: readonly { readonly message: string; readonly path?: readonly (string | number)[] }[];
  readonly durationMs?: number;
  readonly context: OperationContext;
}

/** One line for a failed operation or event: a warning where the system is at fault, else for information. */
export function logFailure(logger: Logger, { errors, context, durationMs, ...about }: FailedOperation): void {
  const line = {
    ...about,
    message: errors[0]?.message,
    path: errors[0]?.path,
    errors: errors.length,
    userId: context.viewer?.userId,
    ...(durationMs !== undefined && { durationMs: Math.round(durationMs) }),
    ...(context.fetchFailures.length > 0 && { fetchFailures: context.fetchFailures }),
  };
  const systemAtFault = about.outcome === 'INTERNAL' || about.outcome === 'SERVICE_UNAVAILABLE' || context.fetchFailures.length > 0;
  logger[systemAtFault ? 'warn' : 'info'](line, 'an operation failed');
}
