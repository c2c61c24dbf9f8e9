import { Kind, parse, print, stripIgnoredCharacters, visit, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type NameNode, type OperationDefinitionNode, type VariableDefinitionNode } from 'graphql';
import type { SubgraphAnswer, SubgraphError } from '../operation-context.ts';
import { bodyStart, type CompiledFetch, type FetchVariable } from './compiled-fetch.ts';
import { isTree } from './tree.ts';

/** Several fetches of entities from one subgraph in one request, each under an alias of its own. */
export interface JoinedFetches {
  readonly bodyStart: string;
  readonly variables: readonly FetchVariable[];
  /** How often the subgraph gave no data for this; it is not asked again without end. */
  refusals: number;
}

/** Of a fetch that is to be sent. */
interface JoinablePart {
  readonly batch: { readonly representations: readonly string[]; readonly contextMembers: string };
}

/** Gives what joins fetches, always the same for the same ones: subgraphs know the document again. */
export type FetchJoiner = (fetches: readonly CompiledFetch[]) => JoinedFetches;

/** Requests with more entities are better on their own: their answers are read while others are on the way. */
const JOINED_ENTITIES_MAX = 200;
const JOINED_FETCHES_MAX = 8;
const REFUSALS_MAX = 3;
/** Different groups of an operation's fetches that are remembered; an operation has a few. */
const JOINS_MAX = 64;

export function createFetchJoiner(): FetchJoiner {
  const known = new Map<string, JoinedFetches>();
  return (fetches) => {
    const key = fetches.map(({ number }) => number).join();
    const joined = known.get(key) ?? joinedFetches(fetches);
    if (known.size >= JOINS_MAX) known.clear();
    known.set(key, joined);
    return joined;
  };
}

/** Fetches to one subgraph that start at the same moment, in groups of which each is one request. */
export function groupedFetches<Pending extends JoinablePart>(pending: readonly Pending[]): Pending[][] {
  const groups: Pending[][] = [];
  let open: Pending[] = [];
  let entities = 0;
  for (const one of pending) {
    const { representations, contextMembers } = one.batch;
    if (contextMembers !== '' || representations.length > JOINED_ENTITIES_MAX) {
      groups.push([one]);
      continue;
    }
    if (open.length > 0 && (open.length === JOINED_FETCHES_MAX || entities + representations.length > JOINED_ENTITIES_MAX)) {
      groups.push(open);
      open = [];
      entities = 0;
    }
    open.push(one);
    entities += representations.length;
  }
  return open.length === 0 ? groups : [...groups, open];
}

export function maySend({ refusals }: JoinedFetches): boolean {
  return refusals < REFUSALS_MAX;
}

/** The name of the variable with the representations of the `index`th fetch. */
export function representationsVariable(index: number): string {
  return `representations${index}`;
}

function aliasOf(index: number): string {
  return `entities${index}`;
}

/** What the `index`th fetch would have been answered on its own. */
export function answerOfJoined(answer: SubgraphAnswer, index: number): SubgraphAnswer {
  const alias = aliasOf(index);
  const errors = (Array.isArray(answer.errors) ? (answer.errors as SubgraphError[]) : []).flatMap((error) => {
    const { path } = error;
    // An error without a place is an error of all.
    if (!Array.isArray(path) || typeof path[0] !== 'string' || !path[0].startsWith('entities')) return error;
    return path[0] === alias ? { ...error, path: ['_entities', ...path.slice(1)] } : [];
  });
  const entities = isTree(answer.data) ? answer.data[alias] : undefined;
  return { data: { _entities: entities }, ...(errors.length > 0 && { errors }) };
}

function joinedFetches(fetches: readonly CompiledFetch[]): JoinedFetches {
  const documents = fetches.map(({ document }, index) => separated(parse(document, { noLocation: true }), index));
  const operations = documents.flatMap(({ definitions }) => definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION));
  const fragments = documents.flatMap(({ definitions }) => definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION));
  const variableDefinitions = new Map(operations.flatMap(({ variableDefinitions: given = [] }) => given.map((one): [string, VariableDefinitionNode] => [one.variable.name.value, one])));
  const operation: OperationDefinitionNode = {
    ...(operations[0] as OperationDefinitionNode),
    variableDefinitions: [...variableDefinitions.values()],
    selectionSet: { kind: Kind.SELECTION_SET, selections: operations.flatMap(({ selectionSet }) => selectionSet.selections) },
  };
  const document = stripIgnoredCharacters(print({ kind: Kind.DOCUMENT, definitions: [operation, ...fragments] }));
  return {
    bodyStart: bodyStart(document, operation.name?.value),
    variables: [...new Map(fetches.flatMap(({ variables }) => variables.map((variable) => [variable.key, variable]))).values()],
    refusals: 0,
  };
}

/** The document of the `index`th fetch with names that no other one has. */
function separated(document: DocumentNode, index: number): DocumentNode {
  const renamed = (value: string): NameNode => ({ kind: Kind.NAME, value });
  return visit<DocumentNode>(document, {
    Variable: ({ name, ...rest }) => (name.value === 'representations' ? { ...rest, name: renamed(representationsVariable(index)) } : undefined),
    FragmentSpread: ({ name, ...rest }) => ({ ...rest, name: renamed(`${name.value}_${index}`) }),
    FragmentDefinition: { leave: ({ name, ...rest }): FragmentDefinitionNode => ({ ...rest, name: renamed(`${name.value}_${index}`) }) },
    Field: { leave: (field): FieldNode | undefined => (field.name.value === '_entities' ? { ...field, alias: renamed(aliasOf(index)) } : undefined) },
  });
}
