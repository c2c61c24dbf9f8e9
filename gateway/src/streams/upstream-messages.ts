import type { SubgraphAnswer, SubgraphError } from '../operation-context.ts';

/** What a subgraph says over the graphql-transport-ws protocol. */
export type SubgraphMessage =
  | { readonly type: 'connection_ack' | 'ping' | 'pong' }
  | { readonly type: 'next'; readonly id: number; readonly answer: SubgraphAnswer }
  | { readonly type: 'error'; readonly id: number; readonly errors: readonly SubgraphError[] }
  | { readonly type: 'complete'; readonly id: number };

/** @returns null for what is no message of the protocol. */
export function readSubgraphMessage(text: string): SubgraphMessage | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(message)) return null;
  const { type, payload } = message;
  const id = Number(message['id']);
  switch (type) {
    case 'connection_ack':
    case 'ping':
    case 'pong':
      return { type };
    case 'next':
      return isAnswer(payload) ? { type, id, answer: payload } : null;
    case 'error':
      return Array.isArray(payload) && payload.length > 0 && payload.every(isError) ? { type, id, errors: payload } : null;
    case 'complete':
      return { type, id };
    default:
      return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As loose as for answers over HTTP, but that errors are a list of them where there are any. */
function isAnswer(value: unknown): value is SubgraphAnswer {
  if (!isObject(value)) return false;
  const { errors } = value;
  return errors === undefined || (Array.isArray(errors) && errors.every(isError));
}

function isError(value: unknown): value is SubgraphError {
  return isObject(value) && typeof value['message'] === 'string';
}
