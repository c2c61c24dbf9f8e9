import { createBoundedCache } from '../bounded-cache.ts';

/** What a client can read, from its `Accept` header. */
export interface Accepted {
  /** Of a GraphQL answer; undefined when it accepts neither of the two. */
  readonly answer: AnswerType | undefined;
  /** It names `application/json` itself: answers to requests that GraphQL refuses have the status 200 then. */
  readonly isLegacy: boolean;
  readonly eventStream: boolean;
  readonly multipart: boolean;
  readonly html: boolean;
}

export type AnswerType = 'application/graphql-response+json' | 'application/json';

const GRAPHQL: AnswerType = 'application/graphql-response+json';
const JSON_TYPE: AnswerType = 'application/json';
/** Clients send one of a few. */
const KNOWN_MAX = 200;
const KNOWN_MAX_CHARACTERS = 100_000;

/** By https://graphql.github.io/graphql-over-http: a client that names nothing, or everything, gets `application/json`. */
export function createNegotiation(): (accept: string | undefined) => Accepted {
  const known = createBoundedCache<Accepted>(KNOWN_MAX, KNOWN_MAX_CHARACTERS);
  return (accept = '*/*') => {
    const before = known.get(accept);
    if (before !== undefined) return before;
    const read = readAccept(accept);
    known.set(accept, read);
    return read;
  };
}

interface Range {
  readonly type: string;
  readonly quality: number;
}

function readAccept(accept: string): Accepted {
  const ranges = accept.split(',').flatMap((text) => readRange(text) ?? []);
  const named = (type: string): number => Math.max(0, ...ranges.filter((range) => range.type === type).map(({ quality }) => quality));
  const wildcard = Math.max(named('*/*'), named('application/*'));
  const [graphql, json] = [named(GRAPHQL), named(JSON_TYPE)];
  // Of equals the newer one, if it is named.
  const answer = graphql > 0 && graphql >= json && graphql >= wildcard ? GRAPHQL : json > 0 || wildcard > 0 ? JSON_TYPE : undefined;
  return {
    answer,
    isLegacy: answer === JSON_TYPE && json > 0,
    eventStream: named('text/event-stream') > 0,
    multipart: named('multipart/mixed') > 0,
    html: named('text/html') > 0,
  };
}

function readRange(text: string): Range | undefined {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length).replaceAll('"', '');
  if (type === '' || (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')) return undefined;
  const given = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = given === undefined ? 1 : Number(given.slice(2));
  return quality > 0 ? { type, quality: Math.min(quality, 1) } : undefined;
}

/** Whether a content type is JSON in UTF-8; false: another type; undefined: JSON in another encoding. */
export function isJson(contentType: string): boolean | undefined {
  if (contentType === 'application/json') return true;
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  if (type !== 'application/json' && !(type.startsWith('application/') && type.endsWith('+json'))) return false;
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length).replaceAll('"', '');
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' ? true : undefined;
}
