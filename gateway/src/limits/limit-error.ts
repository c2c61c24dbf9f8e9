import type { ErrorCode } from '@ates/service-kit/domain-error';
import { GraphQLError, type ASTNode } from 'graphql';

/** What limits say besides their message: the finer reason, and figures for programs. */
export interface LimitDetails {
  readonly reason: string;
  readonly [detail: string]: string | number;
}

/** A refusal that the client can mend by asking for less or otherwise: BAD_USER_INPUT with a `reason` and figures. */
export function limitError(message: string, details: LimitDetails, node?: ASTNode): GraphQLError {
  const code: ErrorCode = 'BAD_USER_INPUT';
  return new GraphQLError(message, { nodes: node, extensions: { ...details, code } });
}
