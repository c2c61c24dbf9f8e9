import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { DomainError, type ErrorCode } from './domain-error.ts';
import type { Logger } from './logger.ts';
import { currentTrace } from './trace-context.ts';

/**
 * The one place where an error becomes what a caller sees: refusals keep their message and code, a request that
 * GraphQL itself refuses is BAD_USER_INPUT, what passes by itself is SERVICE_UNAVAILABLE, everything else is INTERNAL. These two are logged
 * whole and masked behind a request id.
 */
export function maskError(formatted: GraphQLFormattedError, error: unknown, logger: Logger): GraphQLFormattedError {
  const cause = causeOf(error);
  const where = { ...(formatted.locations && { locations: formatted.locations }), ...(formatted.path && { path: formatted.path }) };
  if (cause instanceof DomainError) {
    return { message: cause.message, ...where, extensions: { ...cause.details, code: cause.code } };
  }
  // Apollo Server wraps what parsing, validation and coercion of variables find in errors of its own.
  if (cause instanceof GraphQLError && (cause.originalError === undefined || cause.originalError instanceof GraphQLError)) {
    const known = cause.extensions['code'];
    if (known === undefined || known === 'INTERNAL_SERVER_ERROR') {
      if (formatted.path === undefined) return { message: cause.message, ...where, extensions: { code: 'BAD_USER_INPUT' } };
    } else {
      // `http` tells Apollo Server which status to answer with; it is no part of the answer.
      const { http: _status, ...extensions } = cause.extensions;
      return { message: cause.message, ...where, extensions: { ...extensions, ...requestErrorCode(known) } };
    }
  }
  const requestId = currentTrace()?.traceId;
  if (isPassing(cause)) {
    logger.warn({ err: cause, path: formatted.path }, 'an operation failed because the database was busy or away');
    return {
      message: 'The database is busy or away right now: try again in a few seconds, with the same idempotencyKey where there is one',
      ...where,
      extensions: { code: 'SERVICE_UNAVAILABLE' satisfies ErrorCode, ...(requestId !== undefined && { requestId }) },
    };
  }
  logger.error({ err: cause, path: formatted.path }, 'an operation failed for a reason that its caller is not told');
  return {
    message: `Something went wrong on our side; try again, and if it stays, report request ${requestId ?? 'without id'}`,
    ...where,
    extensions: { code: 'INTERNAL' satisfies ErrorCode, ...(requestId !== undefined && { requestId }) },
  };
}

/** SQLSTATEs of what may work a moment later, as it is: out of time or of turn, a deadlock, a server that starts, stops or is full. */
const PASSING = /^(?:08...|40001|40P01|53[13]00|55P03|57014|57P0[123])$/;
const NO_SERVER = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

function isPassing(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && (PASSING.test(code) || NO_SERVER.has(code));
}

/** Apollo's codes for requests that GraphQL refuses are one code here; the finer one stays readable as `reason`. */
function requestErrorCode(code: unknown): Record<string, unknown> {
  const refusedByGraphQL = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'OPERATION_RESOLUTION_FAILURE', 'BAD_REQUEST'];
  return refusedByGraphQL.includes(String(code)) ? { code: 'BAD_USER_INPUT' satisfies ErrorCode, reason: code } : { code };
}

/** What a resolver threw, without the wrapping that says where. */
function causeOf(error: unknown): unknown {
  if (!(error instanceof GraphQLError) || error.originalError === undefined) return error;
  // What ends a subscription has no path: a refusal is one all the same.
  return error.path !== undefined || error.originalError instanceof DomainError ? error.originalError : error;
}
