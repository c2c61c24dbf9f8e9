import type { GraphQLFormattedError } from 'graphql';
import type { OperationAnswer } from '../prepared-operation.ts';
import { answerText } from '../answer-text.ts';

/** How answers are written into the body of one HTTP response. */
export interface StreamFormat {
  readonly contentType: string;
  /** Written at once, so that the client knows that it is served. */
  readonly opening: string;
  readonly heartbeat: string;
  next(answer: OperationAnswer): string;
  /** Errors, and the end. */
  fail(errors: readonly GraphQLFormattedError[]): string;
  readonly end: string;
}

export type StreamTransport = 'sse' | 'multipart';

const EVENT_STREAM = 'text/event-stream';
const BOUNDARY = 'graphql';
const DELIMITER = `\r\n--${BOUNDARY}`;

function eventStreamNext(answer: string): string {
  return `event: next\ndata: ${answer}\n\n`;
}

/** Browsers' EventSource tells nobody of events without data. */
const COMPLETE = 'event: complete\ndata:\n\n';

/** The distinct connections mode of the graphql-sse protocol. */
export const eventStream: StreamFormat = {
  contentType: `${EVENT_STREAM}; charset=utf-8`,
  opening: ':\n\n',
  heartbeat: ':\n\n',
  next: (answer) => eventStreamNext(answerText(answer)),
  fail: (errors) => eventStreamNext(JSON.stringify({ errors })) + COMPLETE,
  end: COMPLETE,
};

/** The single connection mode of the graphql-sse protocol: answers of many operations, each with its id. */
export const channelFormat = {
  next: (id: string, answer: string): string => eventStreamNext(`{"id":${JSON.stringify(id)},"payload":${answer}}`),
  complete: (id: string): string => `event: complete\ndata: {"id":${JSON.stringify(id)}}\n\n`,
};

function part(body: string): string {
  // The next delimiter goes with it: clients take a part for complete when they see what follows.
  return `\r\ncontent-type: application/json\r\n\r\n${body}${DELIMITER}`;
}

/** `multipart/mixed;subscriptionSpec=1.0`, as Apollo's clients and router speak it. */
export const multipart: StreamFormat = {
  contentType: `multipart/mixed; boundary="${BOUNDARY}"; subscriptionSpec=1.0`,
  opening: DELIMITER,
  heartbeat: part('{}'),
  next: (answer) => part(`{"payload":${answerText(answer)}}`),
  fail: (errors) => `${part(JSON.stringify({ payload: null, errors }))}--\r\n`,
  end: '--\r\n',
};
