import { GraphQLError, parse, validate, type DocumentNode, type GraphQLSchema } from 'graphql';
import { LRUCache } from 'lru-cache';
import { DomainError, toGraphQLError } from './domain-error.ts';

/** A document that fits the schema, or why it does not. */
export type PreparedDocument = { readonly document: DocumentNode } | { readonly errors: readonly GraphQLError[] };

const DOCUMENTS_MAX = 1_000;

/** Parses and validates, and remembers the 1,000 documents used last: a gateway sends the same few again and again. */
export function createDocumentPreparation(schema: GraphQLSchema): (query: string) => PreparedDocument {
  const prepared = new LRUCache<string, PreparedDocument>({ max: DOCUMENTS_MAX });
  return (query) => {
    const known = prepared.get(query);
    if (known !== undefined) return known;
    const outcome = prepare(schema, query);
    prepared.set(query, outcome);
    return outcome;
  };
}

/** Any error in GraphQL's form, to be masked like those of resolvers. */
export function asGraphQLError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof DomainError) return toGraphQLError(error);
  return new GraphQLError('The operation could not be started', { path: [], originalError: error instanceof Error ? error : new Error(String(error)) });
}

function prepare(schema: GraphQLSchema, query: string): PreparedDocument {
  try {
    const document = parse(query);
    const errors = validate(schema, document);
    return errors.length > 0 ? { errors } : { document };
  } catch (error) {
    return { errors: [asGraphQLError(error)] };
  }
}
