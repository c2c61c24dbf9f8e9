import type { ErrorCode } from '@ates/service-kit/domain-error';
import {
  GraphQLError,
  NoSchemaIntrospectionCustomRule,
  OverlappingFieldsCanBeMergedRule,
  specifiedRules,
  validate,
  type DocumentNode,
  type GraphQLSchema,
  type ValidationRule,
} from 'graphql';
import type { GatewayConfig } from './config.ts';
import { documentViolation, parseWithin } from './limits/document-bounds.ts';
import { validationRulesFor } from './limits/validation-rules.ts';

export type ValidationSettings = Pick<GatewayConfig, 'maxDepth' | 'maxAliases' | 'maxTokens' | 'singleRootFields' | 'introspection'>;

/** Parses and validates documents. */
export interface DocumentReader {
  /** @returns the document, or why it is refused: GraphQL errors with BAD_USER_INPUT and a reason. */
  read(query: string, schema: GraphQLSchema): DocumentNode | readonly GraphQLError[];
}

/** More problems of one document are not told: looking for what a misspelt field may have meant takes its time. */
const PROBLEMS_MAX = 20;
/** Compares fields with one another, which takes the square of their number. */
const SLOW_RULES: readonly ValidationRule[] = [OverlappingFieldsCanBeMergedRule];

/** graphql-js does not look into operations of a kind that the schema has not: nothing in them is validated, and nobody can plan them. */
const knownKind: ValidationRule = (context) => ({
  OperationDefinition: (operation) => {
    if (context.getSchema().getRootType(operation.operation) !== undefined) return;
    context.reportError(new GraphQLError(`There are no ${KINDS[operation.operation]} in this schema`, { nodes: operation }));
  },
});

const KINDS = { query: 'queries', mutation: 'mutations', subscription: 'subscriptions' } as const;

/**
 * Reads what may be hostile: what is cheap to find out comes first, and the first step that finds something is the last. So each later
 * step has bounded work: tokens, then sizes, then what takes one walk, then what takes the square of it.
 */
export function createDocumentReader(settings: ValidationSettings): DocumentReader {
  const { introspection } = settings;
  const walks = [
    knownKind,
    ...validationRulesFor(settings),
    ...(introspection ? [] : [NoSchemaIntrospectionCustomRule]),
    ...specifiedRules.filter((rule) => !SLOW_RULES.includes(rule)),
  ];
  // With introspection off, a guess that is corrected would tell the schema too.
  const options = { maxErrors: PROBLEMS_MAX, hideSuggestions: !introspection };
  return {
    read: (query, schema) => {
      const document = orProblems(() => parseWithin(query, settings));
      if (Array.isArray(document)) return document.map((problem) => refusal(problem, 'GRAPHQL_PARSE_FAILED'));
      const violation = documentViolation(document, settings);
      if (violation !== null) return [refusal(violation, 'GRAPHQL_VALIDATION_FAILED')];
      for (const rules of [walks, SLOW_RULES]) {
        const problems = orProblems(() => validate(schema, document, rules, options));
        if (problems.length > 0) return problems.map((problem) => refusal(problem, 'GRAPHQL_VALIDATION_FAILED'));
      }
      return document;
    },
  };
}

/** Messages quote what was sent, which may be long. */
const MESSAGE_LENGTH_MAX = 500;

/** A GraphQL error as a refusal of the request. */
export function refusal(error: GraphQLError, reason?: string): GraphQLError {
  const code: ErrorCode = 'BAD_USER_INPUT';
  const { message, nodes, source, positions, extensions } = error;
  const told = message.length <= MESSAGE_LENGTH_MAX ? message : `${message.slice(0, MESSAGE_LENGTH_MAX)}…`;
  return new GraphQLError(told, { nodes, source, positions, extensions: { ...(reason !== undefined && { reason }), ...extensions, code } });
}

function orProblems<Result>(work: () => Result): Result | GraphQLError[] {
  try {
    return work();
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    throw error;
  }
}
