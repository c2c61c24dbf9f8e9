import type { IncomingMessage, ServerResponse } from 'node:http';
import { DomainError, HTTP_STATUS } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { answerText } from '../answer-text.ts';
import type { OperationContext } from '../operation-context.ts';
import { OperationRefused, type OperationAnswer } from '../prepared-operation.ts';
import { HttpRefusal } from './http-refusal.ts';
import type { Accepted } from './negotiation.ts';

/** The answer's header with the id that logs and traces have. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** One GraphQL request on its way, and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly accepted: Accepted;
  /** Of nobody until the token is verified. */
  context: OperationContext;
}

/** Answers by JSON, unless an answer was begun already or nobody is there any more. */
export function send({ response, accepted, context }: Exchange, status: number, answer: OperationAnswer, headers?: Readonly<Record<string, string>>): void {
  if (response.headersSent || response.destroyed) return;
  const contentType = accepted.answer === 'application/graphql-response+json' ? 'application/graphql-response+json; charset=utf-8' : 'application/json; charset=utf-8';
  const body = answerText(answer);
  const all = ['content-type', contentType, 'content-length', String(Buffer.byteLength(body)), REQUEST_ID_HEADER, context.trace.traceId, 'cache-control', 'no-store'];
  if (headers !== undefined) for (const [name, value] of Object.entries(headers)) all.push(name, value);
  response.writeHead(status, all);
  response.end(body);
}

/** Answers to whoever asks what may be asked. */
export function sendAllowed({ response, context }: Exchange, allow: string): void {
  response.writeHead(204, { allow, [REQUEST_ID_HEADER]: context.trace.traceId, 'cache-control': 'no-store' }).end();
}

/** Answers by a refusal, whatever was thrown; what nobody may read is logged whole and masked. */
export function refuse(exchange: Exchange, error: unknown, logger: Logger): void {
  if (error instanceof OperationRefused) {
    // By the specification `application/json` says by its status whether this was a request, `application/graphql-response+json` what came of it.
    const isRequest = error.status === 400 && error.errors[0]?.extensions?.['reason'] !== 'BAD_REQUEST';
    send(exchange, isRequest && exchange.accepted.isLegacy ? 200 : error.status, { errors: error.errors }, error.headers);
  } else {
    runInTrace(exchange.context.trace, () => refuseRequest(exchange, error, logger));
  }
}

/** Refuses what `work` throws. */
export function attempt(exchange: Exchange, logger: Logger, work: () => void): void {
  try {
    work();
  } catch (error) {
    refuse(exchange, error, logger);
  }
}

function refuseRequest(exchange: Exchange, error: unknown, logger: Logger): void {
  if (error instanceof HttpRefusal) {
    const { status, code, message, details, headers } = error;
    logger.info({ status, code, message }, 'a request was refused');
    return send(exchange, status, { errors: [{ message, extensions: { ...details, code } }] }, headers);
  }
  if (error instanceof DomainError) {
    const { code, message, details } = error;
    logger.info({ code, message }, 'a request was refused');
    return send(exchange, HTTP_STATUS[code], { errors: [{ message, extensions: { ...details, code } }] });
  }
  const requestId = exchange.context.trace.traceId;
  logger.error({ err: error }, 'a request failed for a reason that its sender is not told');
  const message = `Something went wrong on our side; try again, and if it stays, report request ${requestId}`;
  return send(exchange, 500, { errors: [{ message, extensions: { requestId, code: 'INTERNAL' } }] });
}
