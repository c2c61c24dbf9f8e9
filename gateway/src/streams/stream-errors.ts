import type { DomainError, ErrorCode } from '@ates/service-kit/domain-error';
import type { GraphQLFormattedError } from 'graphql';

/** RFC 6455, 5.5: a control frame holds 125 bytes, two of them the code. */
const CLOSE_REASON_MAX_BYTES = 123;

/** An error of the gateway's own, as clients see it. */
export function streamError(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}): GraphQLFormattedError {
  return { message, extensions: { ...details, code } };
}

/** A refusal, as clients see it. */
export function refusalError({ code, message, details }: DomainError): GraphQLFormattedError {
  return streamError(code, message, details);
}

/** A subgraph is away. */
export function unavailable(): GraphQLFormattedError {
  return streamError('SERVICE_UNAVAILABLE', 'A part of the system does not answer right now: subscribe again in a few seconds');
}

/** A close frame's reason, cut to what it holds. */
export function closeReason(reason: string): string {
  const bytes = Buffer.from(reason);
  // A character that was cut in two is left out.
  return bytes.length <= CLOSE_REASON_MAX_BYTES ? reason : bytes.subarray(0, CLOSE_REASON_MAX_BYTES).toString().replace(/\uFFFD$/, '');
}
