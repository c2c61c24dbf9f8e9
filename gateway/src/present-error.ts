import { errorCodeOf, type ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { maskError } from '@ates/service-kit/mask-error';
import { currentTrace } from '@ates/service-kit/trace-context';
import type { GraphQLError, GraphQLFormattedError } from 'graphql';
import type { ExecutionError } from './execution/compiled-operation.ts';

/** Codes of the protocol of automatic persisted queries: clients act on them. */
const PERSISTED_QUERY_CODES = ['PERSISTED_QUERY_NOT_FOUND', 'PERSISTED_QUERY_NOT_SUPPORTED'];
/** Members of a subgraph error's extensions that tell how the system is made. */
const INTERNAL_EXTENSIONS: ReadonlySet<string> = new Set(['serviceName', 'service', 'subgraph', 'stacktrace', 'exception', 'http', 'ftv1', 'debug']);
/** Marks errors that were received from a subgraph, among formatted ones. */
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
  }
  return presentFromSubgraph(formatted, error, logger);
}

/** As `presentError`, for errors that nothing has formatted. */
export function presentErrors(errors: readonly GraphQLError[], logger: Logger): GraphQLFormattedError[] {
  return errors.map((error) => presentError(error.toJSON(), error, logger));
}

/**
 * As `presentError`, for what an execution found. The gateway's own findings, null where the schema allows none for one, are
 * faults of the system: masked, unless they carry a code. What is masked is told in one line of the log for all of them.
 */
export function presentExecutionErrors(errors: readonly ExecutionError[], logger: Logger): GraphQLFormattedError[] {
  const masked = errors.find((error) => errorCodeOf(error.extensions) === undefined);
  if (masked !== undefined) {
    logger.error({ message: masked.message, path: masked.path, subgraph: masked.subgraph, errors: errors.length }, 'errors without a code from the closed list were masked');
  }
  return errors.map((error) => withPublicCode(error) ?? internal(error));
}

/** The code that an answer's outcome is counted and logged under. */
export function outcomeOf(errors: readonly GraphQLFormattedError[] | undefined): string {
  const first = errors?.[0];
  if (first === undefined) return 'ok';
  const code = first.extensions?.['code'];
  return typeof code === 'string' ? code : 'INTERNAL';
}

function presentFromSubgraph(formatted: GraphQLFormattedError, error: unknown, logger: Logger): GraphQLFormattedError {
  const known = withPublicCode(formatted);
  if (known !== undefined) return known;
  logger.error({ err: error, path: formatted.path }, 'an error without a code from the closed list was masked');
  return internal(formatted);
}

function withPublicCode(error: Pick<GraphQLFormattedError, 'message' | 'path' | 'extensions'>): GraphQLFormattedError | undefined {
  const code = errorCodeOf(error.extensions);
  if (code === undefined) return undefined;
  const kept = Object.fromEntries(Object.entries(error.extensions ?? {}).filter(([name]) => !INTERNAL_EXTENSIONS.has(name)));
  return { message: error.message, ...pathOf(error), extensions: { ...kept, ...requestIdFor(code), code } };
}

function internal(error: Pick<GraphQLFormattedError, 'path'>): GraphQLFormattedError {
  const code: ErrorCode = 'INTERNAL';
  const message = `Something went wrong on our side; try again, and if it stays, report request ${currentTrace()?.traceId ?? 'without id'}`;
  return { message, ...pathOf(error), extensions: { ...requestIdFor(code), code } };
}

function requestIdFor(code: ErrorCode): { requestId?: string } {
  const trace = currentTrace();
  return trace === undefined || (code !== 'INTERNAL' && code !== 'SERVICE_UNAVAILABLE') ? {} : { requestId: trace.traceId };
}

/** Locations are left out: a subgraph's point into the gateway's fetch, not into the client's document. */
function pathOf({ path }: Pick<GraphQLFormattedError, 'path'>): { path?: readonly (string | number)[] } {
  return path === undefined ? {} : { path };
}
