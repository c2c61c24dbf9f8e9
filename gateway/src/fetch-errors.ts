import type { ErrorCode } from '@ates/service-kit/domain-error';

/** Why a fetch brought no GraphQL answer. */
export interface FetchFailure {
  readonly code: ErrorCode;
  /** For the log; not for clients. */
  readonly reason: string;
}
