import { createHash } from 'node:crypto';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import { GraphQLError } from 'graphql';
import { createBoundedCache } from './bounded-cache.ts';
import type { Safelist } from './limits/safelist.ts';
import type { OperationRequest } from './prepared-operation.ts';

/** What a request names as its document. */
export interface FoundDocument {
  readonly query: string;
  /** Remembers a document under its hash, once it is known to be valid. */
  readonly remember?: () => void;
}

/** Finds the text that a request means: it brings it, or names one that clients have brought or that they were built with. */
export interface PersistedQueries {
  /** @throws GraphQLError with a code; `PERSISTED_QUERY_NOT_FOUND` asks the client to send the text with the hash. */
  find(request: OperationRequest): FoundDocument;
}

const SHA256 = /^[0-9a-f]{64}$/i;
const TEXTS_MAX_CHARACTERS = 16 * 1024 * 1024;

/** By the protocol of automatic persisted queries (`extensions.persistedQuery`, version 1), and by ids of the safelist (also as `documentId`). */
export function createPersistedQueries(safelist: Safelist, max: number): PersistedQueries {
  const texts = createBoundedCache<string>(max);
  let characters = 0;
  const remember = (hash: string, query: string): void => {
    if (texts.get(hash) !== undefined) return;
    characters += query.length;
    // Texts may be long: rather than to weigh each, all are forgotten when there is too much of them. Clients send them again.
    if (characters > TEXTS_MAX_CHARACTERS) {
      texts.clear();
      characters = query.length;
    }
    texts.set(hash, query);
  };

  const byId = (id: string, isHash: boolean): FoundDocument => {
    const query = safelist.find(id) ?? (isHash && safelist.mode !== 'enforce' ? texts.get(id) : undefined);
    if (query !== undefined) return { query };
    if (safelist.mode === 'enforce') throw safelist.unknownId(id);
    if (!isHash) throw malformed('There is no persisted operation with this documentId: send its text as "query"');
    throw new GraphQLError('PersistedQueryNotFound', { extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } });
  };

  return {
    find: (request) => {
      const { query, extensions } = request;
      if (query !== undefined && query !== null && typeof query !== 'string') throw malformed('"query" must be a text: the GraphQL document');
      const text = query ?? '';
      const persisted = (extensions as { persistedQuery?: unknown } | null | undefined)?.persistedQuery;
      if (persisted === undefined || persisted === null) {
        if (text !== '') return { query: text };
        const id = (request as { documentId?: unknown }).documentId;
        if (typeof id === 'string' && id !== '') return byId(id, false);
        throw malformed('There is no GraphQL document: send {"query": "…", "variables": {…}} as application/json');
      }
      const hash = hashIn(persisted);
      if (text === '') return byId(hash, true);
      if (createHash('sha256').update(text).digest('hex') !== hash) {
        throw malformed('The sha256Hash of the persisted query is not that of the query: send the lower-case hex SHA-256 of the text');
      }
      return { query: text, remember: () => remember(hash, text) };
    },
  };
}

/** The refusal of a request that is no GraphQL request. */
export function malformed(message: string): GraphQLError {
  const code: ErrorCode = 'BAD_USER_INPUT';
  return new GraphQLError(message, { extensions: { code, reason: 'BAD_REQUEST' } });
}

function hashIn(persisted: unknown): string {
  const { version, sha256Hash } = (typeof persisted === 'object' ? persisted : {}) as { version?: unknown; sha256Hash?: unknown };
  if (version !== undefined && version !== 1) throw malformed('This version of persisted queries is not known: send "version": 1');
  if (typeof sha256Hash !== 'string' || sha256Hash === '') throw malformed('A persisted query needs "sha256Hash"');
  // An id of the safelist may be any text; what clients register is a hash.
  return SHA256.test(sha256Hash) ? sha256Hash.toLowerCase() : sha256Hash;
}
