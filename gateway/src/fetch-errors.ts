import type { ErrorCode } from '@ates/service-kit/domain-error';
import { Kind, parse, type FieldNode, type SelectionSetNode } from 'graphql';
import type { SubgraphError } from './operation-context.ts';

/** What the executor asks a subgraph for. */
export interface SubgraphRequest {
  readonly query: string;
  readonly operationName?: string;
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Why a fetch brought no GraphQL answer. */
export interface FetchFailure {
  readonly code: ErrorCode;
  /** For the log; not for clients. */
  readonly reason: string;
}

/** A list of a thousand entities that can't be completed is not told a thousand times. */
const ERRORS_OF_A_FETCH_MAX = 100;
const ENTITIES_FIELD = '_entities';

const CLIENT_MESSAGES: Partial<Record<ErrorCode, string>> = {
  SERVICE_UNAVAILABLE: 'A part of the system does not answer right now: try again in a few seconds',
  INTERNAL: 'A part of the system gave an answer that cannot be used: try again, and if it stays, report the request id',
};

/**
 * The errors of a fetch that failed as a whole, one for each field that it was to bring, at most 100. Their paths are as
 * the subgraph would have given them (`_entities`, index, field): the executor turns these into paths of the operation.
 */
export function errorsForFetch(request: SubgraphRequest, failure: FetchFailure | SubgraphError): SubgraphError[] {
  const error = 'reason' in failure ? { message: messageFor(failure.code), extensions: { code: failure.code } } : failure;
  const paths = pathsOf(request);
  return paths.length === 0 ? [error] : paths.slice(0, ERRORS_OF_A_FETCH_MAX).map((path) => ({ ...error, path }));
}

function messageFor(code: ErrorCode): string {
  return CLIENT_MESSAGES[code] ?? (CLIENT_MESSAGES.INTERNAL as string);
}

function pathsOf(request: SubgraphRequest): (string | number)[][] {
  const operation = parse(request.query, { noLocation: true }).definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const roots = operation === undefined ? [] : fieldsOf(operation.selectionSet);
  const entities = roots.find((field) => field.name.value === ENTITIES_FIELD);
  const representations = request.variables?.['representations'];
  if (entities?.selectionSet === undefined || !Array.isArray(representations)) return responseNames(roots).map((name) => [name]);
  const { selectionSet } = entities;
  return representations.flatMap((representation: { __typename?: string }, index) =>
    responseNames(fieldsOf(selectionSet, representation.__typename)).map((name) => [ENTITIES_FIELD, index, name]),
  );
}

/** Fields selected directly and in inline fragments; with `typename`, of an entity of that type if fragments name it. */
function fieldsOf(selectionSet: SelectionSetNode, typename?: string): FieldNode[] {
  const fragments = selectionSet.selections.filter((selection) => selection.kind === Kind.INLINE_FRAGMENT);
  const named = fragments.filter((fragment) => fragment.typeCondition?.name.value === typename);
  return [
    ...selectionSet.selections.filter((selection) => selection.kind === Kind.FIELD),
    ...(named.length > 0 ? named : fragments).flatMap((fragment) => fieldsOf(fragment.selectionSet)),
  ];
}

function responseNames(fields: readonly FieldNode[]): string[] {
  return [...new Set(fields.map((field) => field.alias?.value ?? field.name.value))].filter((name) => name !== '__typename');
}
