import type { FetchNode, FlattenNode, PlanNode, QueryPlan } from '@apollo/query-planner';
import { isAbstractType, isCompositeType, type FieldNode, type GraphQLSchema } from 'graphql';
import type { SubgraphAnswer, SubgraphError } from '../../gateway/src/operation-context.ts';
import type { Answers } from './answers.ts';
import { collectFields, parseOnce, selectionSetsOf, withDefaults } from './fetch-documents.ts';
import { isTree, merge, placesAt, representationOf, rewrite, type Feature, type Path, type Place, type Tree } from './merged-tree.ts';

/** What the fetches of a plan brought together, before it is shaped. */
export interface Gathered {
  readonly tree: Tree;
  /** Where in the operation errors are that subgraphs told with a path. */
  readonly told: Path[];
  /**
   * For each fetch that failed without saying where: the fields that it was to bring, any of which an error may name;
   * undefined among them for an error without a path.
   */
  readonly unplaced: (Path | undefined)[][];
  readonly features: Feature[];
  readonly fetches: number;
}

export interface Gathering {
  readonly plan: QueryPlan;
  readonly answers: Answers;
  readonly supergraphSchema: GraphQLSchema;
  readonly subgraphs: ReadonlyMap<string, GraphQLSchema>;
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** With defaults. */
  readonly coerced: Readonly<Record<string, unknown>>;
  /** Of what may run at the same time, whether the last one runs first. */
  readonly lastFirst: boolean;
}

interface State extends Gathering, Omit<Gathered, 'fetches'> {
  fetches: number;
  miscounted: boolean;
  readonly tell: (rule: string, path: Path | undefined) => void;
}

/** Runs a plan as plainly as can be: one node after the other, one representation for each entity. */
export function gather(gathering: Gathering): Gathered {
  const features: Feature[] = [];
  const tell = (rule: string, path: Path | undefined): void => void features.push({ rule, path });
  const state: State = { ...gathering, tree: Object.create(null) as Tree, told: [], unplaced: [], features, fetches: 0, miscounted: false, tell };
  const { node } = gathering.plan;
  if (node !== undefined && node.kind !== 'Subscription') runNode(state, node, [{ value: state.tree, path: [] }]);
  return state;
}

function runNode(state: State, node: PlanNode, places: readonly Place[]): void {
  switch (node.kind) {
    case 'Sequence':
      for (const child of node.nodes) runNode(state, child, places);
      return;
    case 'Parallel':
      for (const child of state.lastFirst ? node.nodes.toReversed() : node.nodes) runNode(state, child, places);
      return;
    case 'Flatten':
      runBelow(state, node, places);
      return;
    case 'Condition': {
      const branch = state.coerced[node.condition] === true ? node.ifClause : node.elseClause;
      if (branch !== undefined) runNode(state, branch, places);
      return;
    }
    case 'Fetch':
      if (places.length > 0) runFetch(state, node, places);
      return;
    case 'Defer':
      throw new Error('Nothing is deferred');
  }
}

function runBelow(state: State, { node, path }: FlattenNode, places: readonly Place[]): void {
  const before = state.features.length;
  const below = places.flatMap((place) => placesAt(place, path, state.tell));
  // Apollo counts lists, and their items, where there should be objects.
  state.miscounted = state.features.length > before;
  runNode(state, node, below);
  state.miscounted = false;
}

function runFetch(state: State, fetch: FetchNode, places: readonly Place[]): void {
  const variables: Record<string, unknown> = {};
  for (const name of fetch.variableUsages ?? []) {
    if (state.variables[name] !== undefined) variables[name] = state.variables[name];
  }
  if (fetch.requires === undefined) runRootFetch(state, fetch, places, variables);
  else runEntityFetch(state, fetch, places, variables);
}

function runRootFetch(state: State, fetch: FetchNode, places: readonly Place[], variables: Record<string, unknown>): void {
  const answer = ask(state, fetch, variables);
  const data = answer?.data;
  const rootType = state.subgraphs.get(fetch.serviceName)?.getRootType(fetch.operationKind)?.name;
  for (const error of answer?.errors ?? []) {
    for (const { path } of places) if (error.path !== undefined) state.told.push([...path, ...error.path]);
  }
  if (!isTree(data) || saysNoPlace(answer)) fail(state, fetch, answer, places.map(({ path }) => [path, rootType]));
  if (!isTree(data)) return;
  rewrite(state.supergraphSchema, fetch.outputRewrites, data);
  for (const { value, path } of places) {
    if (isTree(value)) merge(value, structuredClone(data), path, { schema: state.supergraphSchema, tell: state.tell });
  }
}

function runEntityFetch(state: State, fetch: FetchNode, places: readonly Place[], variables: Record<string, unknown>): void {
  const { supergraphSchema: schema, tell } = state;
  const sent: { place: Place; representation: Tree }[] = [];
  for (const place of places) {
    const representation = representationOf(schema, place, fetch.requires ?? [], tell);
    if (representation === undefined) continue;
    const copy = structuredClone(representation);
    rewrite(schema, fetch.inputRewrites, copy);
    sent.push({ place, representation: copy });
  }
  if (sent.length === 0) return;
  const answer = ask(state, fetch, { ...variables, representations: sent.map(({ representation }) => representation) });
  for (const error of answer?.errors ?? []) tellEntityError(state, error, places, sent.map(({ place }) => place));
  const entities = answer?.data?.['_entities'];
  const isUsable = Array.isArray(entities) && entities.length === sent.length;
  if (!isUsable || saysNoPlace(answer)) fail(state, fetch, answer, sent.map(({ place, representation }) => [place.path, String(representation['__typename'])]));
  if (!isUsable) return;
  sent.forEach(({ place }, index) => {
    const entity = entities[index] as unknown;
    if (entity !== null && entity !== undefined && !isTree(entity)) {
      // Apollo gives up the entities after it, too.
      for (const later of sent.slice(index)) tell('wrong kind of entity', later.place.path);
      tell('wrong kind of entity', undefined);
    }
    if (!isTree(entity) || !isTree(place.value)) return;
    if (entity['__typename'] === undefined) entity['__typename'] = place.value['__typename'];
    rewrite(schema, fetch.outputRewrites, entity);
    merge(place.value, structuredClone(entity), place.path, { schema, tell });
  });
}

/** An error's path begins with `_entities` and the index of a representation. */
function tellEntityError(state: State, { path }: SubgraphError, places: readonly Place[], sent: readonly Place[]): void {
  const [, index, ...rest] = path ?? [];
  const place = typeof index === 'number' ? sent[index] : undefined;
  if (place === undefined) return;
  state.told.push([...place.path, ...rest]);
  const counted = state.miscounted ? places : places.slice(index as number, (index as number) + 1);
  if (!state.miscounted && counted.every((other) => other === place)) return;
  for (const other of [place, ...counted]) state.tell('entities that were not sent are counted', [...other.path, ...rest]);
}

function ask(state: State, fetch: FetchNode, variables: Readonly<Record<string, unknown>>): SubgraphAnswer | undefined {
  state.fetches += 1;
  return state.answers.answer({ subgraph: fetch.serviceName, query: fetch.operation, variables });
}

/** Whether there is an error that could be anywhere in what was fetched. */
function saysNoPlace(answer: SubgraphAnswer | undefined): boolean {
  return answer?.errors?.some(({ path }) => path === undefined) === true;
}

/** A fetch that failed without saying where: the gateway has to, unless the subgraph told errors that are somewhere. */
function fail(state: State, fetch: FetchNode, answer: SubgraphAnswer | undefined, places: readonly (readonly [Path, string | undefined])[]): void {
  const fields = places.flatMap(([path, typename]) => expectedFields(state, fetch, typename).map((name) => [...path, name]));
  const rule = saysNoPlace(answer) ? 'error without a place' : 'fetch failed';
  const paths = [...fields, ...places.map(([path]) => path)];
  state.tell(rule, undefined);
  for (const path of paths) state.tell(rule, path);
  const isAtRoot = places.some(([path]) => path.length === 0);
  if (saysNoPlace(answer) || (answer?.errors ?? []).length === 0) state.unplaced.push([...paths, ...(saysNoPlace(answer) || isAtRoot ? [undefined] : [])]);
}

function expectedFields(state: State, fetch: FetchNode, typename: string | undefined): string[] {
  const schema = state.subgraphs.get(fetch.serviceName);
  const type = schema?.getType(typename ?? '');
  if (schema === undefined || !isCompositeType(type)) return [];
  const document = parseOnce(fetch.operation);
  const selecting = { ...document, schema, variables: withDefaults(document.operation, state.variables) };
  const sets = fetch.requires === undefined ? [document.operation.selectionSet] : selectionSetsOf(document.operation.selectionSet.selections as FieldNode[]);
  const types = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  return [...new Set(types.flatMap((each) => [...collectFields(selecting, each, sets).keys()]))];
}
