import { GraphQLError } from 'graphql';

/** Every code that `extensions.code` may carry, in any process. A refusal outside this list is a defect. */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'CONFLICT',
  'RATE_LIMITED',
  'SERVICE_UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** HTTP status of a request that is refused as a whole with this code. */
export const HTTP_STATUS: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  BAD_USER_INPUT: 400,
  CONFLICT: 409,
  RATE_LIMITED: 429,
  SERVICE_UNAVAILABLE: 503,
  INTERNAL: 500,
};

/**
 * A refusal that the caller may read: its message says what was wrong and what to do next, its code is from
 * the closed list. Anything else that is thrown is masked before it leaves the process.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  /** Extra members of `extensions` (for example `retryAfterSeconds`); never secrets. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The GraphQL form of a refusal: `message` and `extensions.code`. */
export function toGraphQLError(error: DomainError): GraphQLError {
  return new GraphQLError(error.message, { extensions: { ...error.details, code: error.code } });
}

/** `extensions.code` of an error if it is one of the closed list, else undefined. */
export function errorCodeOf(extensions: Readonly<Record<string, unknown>> | undefined): ErrorCode | undefined {
  return ERROR_CODES.find((code) => code === extensions?.['code']);
}
