import type { IncomingMessage } from 'node:http';
import type { OperationRequest } from '../prepared-operation.ts';
import { HttpRefusal } from './http-refusal.ts';
import { isJson } from './negotiation.ts';

/** Headers that no form, image or link of a foreign page can send. */
const PREFLIGHT_HEADERS = ['apollo-require-preflight', 'x-apollo-operation-name'];
/** Content types that a foreign page can send without asking the browser's leave. */
const SIMPLE_TYPES = /^\s*(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)\s*(?:;|$)/i;
const NO_MEMBER_ENCODING = new Set(['identity', '']);

/** Refuses a body that is not JSON as this endpoint reads it, before it is read. */
export function checkContentType({ headers }: IncomingMessage): void {
  const { 'content-type': contentType, 'content-encoding': encoding = '' } = headers;
  if (!NO_MEMBER_ENCODING.has(encoding)) throw new HttpRefusal(415, 'The body is compressed: send it as it is', { reason: 'encoding.unsupported' });
  if (contentType === 'application/json') return;
  const json = contentType === undefined ? false : isJson(contentType);
  if (json === true) return;
  if (json === undefined) throw new HttpRefusal(415, 'The body is encoded in a way that is not known here: send JSON in UTF-8', { reason: 'charset.unsupported' });
  const status = contentType === undefined || SIMPLE_TYPES.test(contentType) ? 400 : 415;
  throw new HttpRefusal(status, 'The body is of a type that is not known here: send a GraphQL request as application/json', { reason: 'BAD_REQUEST' });
}

/** The GraphQL request in a JSON body. @throws HttpRefusal */
export function requestInBody(body: string): OperationRequest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw badBody();
  }
  if (Array.isArray(parsed)) throw new HttpRefusal(400, 'Requests are not taken in batches: send each operation by itself', { reason: 'BAD_REQUEST' });
  if (typeof parsed !== 'object' || parsed === null) throw badBody();
  return parsed;
}

/** The GraphQL request in the query of a URL. @throws HttpRefusal */
export function requestInUrl(query: string): OperationRequest {
  const parameters = new URLSearchParams(query);
  const json = (name: string): unknown => {
    const text = parameters.get(name);
    if (text === null || text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new HttpRefusal(400, `The parameter "${name}" is no JSON: write an object, URL-encoded`, { reason: 'BAD_REQUEST' });
    }
  };
  const text = (name: string): string | undefined => parameters.get(name) ?? undefined;
  const documentId = text('documentId');
  return {
    query: text('query'),
    operationName: text('operationName'),
    variables: json('variables'),
    extensions: json('extensions'),
    ...(documentId !== undefined && { documentId }),
  };
}

/** Whether a foreign page could have made the browser send this without the user's knowledge. */
export function couldBeForged({ headers }: IncomingMessage): boolean {
  const contentType = headers['content-type'];
  if (contentType !== undefined && !SIMPLE_TYPES.test(contentType)) return false;
  return PREFLIGHT_HEADERS.every((name) => headers[name] === undefined || headers[name] === '');
}

export function forged(): HttpRefusal {
  return new HttpRefusal(400, `A foreign page could have sent this request: send it with the header "${PREFLIGHT_HEADERS[0]}: true", or as a POST of application/json`, { reason: 'CSRF' });
}

function badBody(): HttpRefusal {
  return new HttpRefusal(400, 'The body is not a JSON object: send {"query": "…", "variables": {…}} as application/json', { reason: 'entity.parse.failed' });
}
