import { unwrapResolverError } from '@apollo/server/errors';
import { errorCodeOf, type ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { maskError } from '@ates/service-kit/mask-error';
import { currentTrace } from '@ates/service-kit/trace-context';
import type { GraphQLError, GraphQLFormattedError } from 'graphql';

/** Codes of the protocol of automatic persisted queries: clients act on them. */
const PERSISTED_QUERY_CODES = ['PERSISTED_QUERY_NOT_FOUND', 'PERSISTED_QUERY_NOT_SUPPORTED'];
/** Members of a subgraph error's extensions that tell how the system is made. */
const INTERNAL_EXTENSIONS = ['serviceName', 'service', 'subgraph', 'stacktrace', 'exception', 'http', 'ftv1', 'debug'];
/** Marks errors that the executor received from a subgraph. */
const FROM_SUBGRAPH = 'serviceName';

/**
 * The one place where an error becomes what a client of the gateway sees. A subgraph's refusal keeps its message, path and
 * code when the code is from the closed list; a request that GraphQL refuses is BAD_USER_INPUT with the finer code as
 * `reason`; everything else is logged whole and masked. Where the system is at fault the request id is told.
 */
export function presentError(formatted: GraphQLFormattedError, error: unknown, logger: Logger): GraphQLFormattedError {
  const extensions = formatted.extensions ?? {};
  if (!(FROM_SUBGRAPH in extensions)) {
    const masked = maskError(formatted, error, logger);
    const code = masked.extensions?.['code'];
    if (errorCodeOf(masked.extensions) !== undefined || PERSISTED_QUERY_CODES.includes(String(code))) return masked;
    return withoutKnownCode(masked, error, logger);
  }
  const code = errorCodeOf(extensions);
  if (code === undefined) return withoutKnownCode(formatted, error, logger);
  const kept = Object.fromEntries(Object.entries(extensions).filter(([name]) => !INTERNAL_EXTENSIONS.includes(name)));
  return { message: formatted.message, ...pathOf(formatted), extensions: { ...kept, ...requestIdFor(code), code } };
}

/** As `presentError`, for errors that Apollo Server has not formatted. */
export function presentErrors(errors: readonly GraphQLError[], logger: Logger): GraphQLFormattedError[] {
  return errors.map((error) => presentError(error.toJSON(), error, logger));
}

/** The code that an answer's outcome is counted and logged under. */
export function outcomeOf(errors: readonly GraphQLFormattedError[] | undefined): string {
  const first = errors?.[0];
  if (first === undefined) return 'ok';
  const code = first.extensions?.['code'];
  return typeof code === 'string' ? code : 'INTERNAL';
}

function withoutKnownCode(formatted: GraphQLFormattedError, error: unknown, logger: Logger): GraphQLFormattedError {
  logger.error({ err: unwrapResolverError(error), path: formatted.path }, 'an error without a code from the closed list was masked');
  const code: ErrorCode = 'INTERNAL';
  const requestId = currentTrace()?.traceId;
  return {
    message: `Something went wrong on our side; try again, and if it stays, report request ${requestId ?? 'without id'}`,
    ...pathOf(formatted),
    extensions: { ...requestIdFor(code), code },
  };
}

function requestIdFor(code: ErrorCode): { requestId?: string } {
  const trace = currentTrace();
  return trace === undefined || (code !== 'INTERNAL' && code !== 'SERVICE_UNAVAILABLE') ? {} : { requestId: trace.traceId };
}

/** Locations are left out: a subgraph's point into the gateway's fetch, not into the client's document. */
function pathOf({ path }: GraphQLFormattedError): { path?: readonly (string | number)[] } {
  return path === undefined ? {} : { path };
}
