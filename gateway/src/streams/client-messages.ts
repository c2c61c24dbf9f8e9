import type { OperationRequest } from '../prepared-operation.ts';

/** What a client says over the graphql-transport-ws protocol. */
export type ClientMessage =
  | { readonly type: 'connection_init'; readonly payload: Readonly<Record<string, unknown>> | undefined }
  | { readonly type: 'ping'; readonly payload: Readonly<Record<string, unknown>> | undefined }
  | { readonly type: 'pong' }
  | { readonly type: 'subscribe'; readonly id: string; readonly payload: OperationRequest }
  | { readonly type: 'complete'; readonly id: string };

const KNOWN = 'connection_init, ping, pong, subscribe or complete';

/** @returns the message, or what is wrong with it */
export function readClientMessage(text: string): ClientMessage | string {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return 'A message has to be JSON';
  }
  if (!isObject(message)) return 'A message has to be a JSON object';
  const { type, id, payload } = message;
  switch (type) {
    case 'connection_init':
    case 'ping':
    case 'pong':
      return isObjectOrNone(payload) ? { type, payload: payload ?? undefined } : `The payload of ${type} has to be an object`;
    case 'subscribe':
      if (!isId(id)) return 'subscribe needs an id that is a text';
      return requestProblem(payload) ?? { type, id, payload: payload as OperationRequest };
    case 'complete':
      return isId(id) ? { type, id } : 'complete needs an id that is a text';
    default:
      return `A message needs a type: ${KNOWN}`;
  }
}

function requestProblem(payload: unknown): string | null {
  if (!isObject(payload)) return 'The payload of subscribe has to be an object';
  const { query, operationName, variables, extensions } = payload;
  if (!isObjectOrNone(extensions)) return 'extensions has to be an object';
  // A persisted operation is named in the extensions.
  if (typeof query !== 'string' && !(query === undefined && extensions != null)) return 'query has to be a text';
  if (operationName != null && typeof operationName !== 'string') return 'operationName has to be a text';
  return isObjectOrNone(variables) ? null : 'variables has to be an object';
}

function isId(id: unknown): id is string {
  return typeof id === 'string' && id !== '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isObjectOrNone(value: unknown): value is Record<string, unknown> | null | undefined {
  return value === undefined || value === null || isObject(value);
}
