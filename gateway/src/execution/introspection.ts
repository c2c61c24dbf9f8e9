import { executeSync, Kind, OperationTypeNode, type DocumentNode, type FieldNode, type GraphQLError, type GraphQLSchema } from 'graphql';
import { responseNameOf, type SafeDocument } from './safe-document.ts';

/** Answers the introspection fields of an operation, each from the merged selections of the same response name. */
export function createIntrospection(schema: GraphQLSchema, { operation, fragments, variableName }: SafeDocument, introspections: readonly (readonly FieldNode[])[]) {
  const documents = introspections.map((fields): DocumentNode => ({
    kind: Kind.DOCUMENT,
    definitions: [
      { kind: Kind.OPERATION_DEFINITION, operation: OperationTypeNode.QUERY, variableDefinitions: operation.variableDefinitions, selectionSet: { kind: Kind.SELECTION_SET, selections: fields } },
      ...fragments.values(),
    ],
  }));
  return (variables: Readonly<Record<string, unknown>>): { answers: unknown[]; errors: GraphQLError[] } => {
    const known = Object.fromEntries((operation.variableDefinitions ?? []).flatMap(({ variable: { name } }) => {
      const value = variables[variableName(name.value)];
      return value === undefined ? [] : [[name.value, value]];
    }));
    const results = documents.map((document) => executeSync({ schema, document, rootValue: {}, variableValues: known }));
    const answers = results.map(({ data }, index) => data?.[responseNameOf(introspections[index]?.[0] as FieldNode)] ?? null);
    return { answers, errors: results.flatMap(({ errors }) => errors ?? []) };
  };
}
