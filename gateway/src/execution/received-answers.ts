import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { FetchFailure } from '../fetch-errors.ts';
import type { SubgraphAnswer, SubgraphError } from '../operation-context.ts';
import type { CompiledFetch } from './compiled-fetch.ts';
import { namesOnPath, placesAt } from './flatten-path.ts';
import { applyRewrites } from './rewrites.ts';
import type { Batch, Run } from './run.ts';
import { isTree, type PathSegment, type ResponsePath, type Tree } from './tree.ts';

/** A list of a thousand entities that can't be completed is not told a thousand times. */
const ERRORS_OF_A_FETCH_MAX = 100;
const ENTITIES_FIELD = '_entities';

const UNAVAILABLE = 'A part of the system does not answer right now: try again in a few seconds';
const UNUSABLE = 'A part of the system gave an answer that cannot be used: try again, and if it stays, report the request id';

/** An error without a place. */
type Told = Pick<SubgraphError, 'message' | 'extensions'>;

/** Puts what a fetch brought into the tree, and its errors, at paths of the operation, into the run. */
export function receiveAnswer(run: Run, fetch: CompiledFetch, batch: Batch, answer: SubgraphAnswer | FetchFailure): void {
  if (isFailure(answer)) {
    tellEverywhere(run, fetch, batch, failureError(answer.code));
    return;
  }
  const errors = Array.isArray(answer.errors) ? answer.errors.filter(isTree) : [];
  const entities = batch.numbers === undefined ? undefined : entitiesIn(answer.data, batch);
  const isUsable = batch.numbers === undefined ? isTree(answer.data) : entities !== undefined;
  if (errors.length > 0) tellErrors({ run, fetch, batch, isUsable }, errors as unknown as SubgraphError[]);
  else if (!isUsable) tellEverywhere(run, fetch, batch, failureError('INTERNAL'));
  if (entities !== undefined) receiveEntities(run, fetch, batch, entities);
  else if (isUsable) receiveFields(run, fetch, batch, answer.data as Tree);
}

export function isFailure(answer: SubgraphAnswer | FetchFailure): answer is FetchFailure {
  return 'reason' in answer && 'code' in answer && !('data' in answer) && !('errors' in answer);
}

function failureError(code: ErrorCode): Told {
  return { message: code === 'SERVICE_UNAVAILABLE' ? UNAVAILABLE : UNUSABLE, extensions: { code } };
}

/** The entities of an answer, undefined when it has not one for each representation. */
function entitiesIn(data: unknown, { representations }: Batch): readonly unknown[] | undefined {
  const entities = isTree(data) ? data[ENTITIES_FIELD] : undefined;
  return Array.isArray(entities) && entities.length === representations.length ? entities : undefined;
}

function receiveFields(run: Run, fetch: CompiledFetch, { objects }: Batch, data: Tree): void {
  if (fetch.outputRewrites.length > 0) applyRewrites(fetch.outputRewrites, data, run.isOfType);
  for (const object of objects) run.merge(object, run.copiesAnswers ? structuredClone(data) : data);
}

function receiveEntities(run: Run, fetch: CompiledFetch, batch: Batch, entities: readonly unknown[]): void {
  const { objects, numbers = [] } = batch;
  if (fetch.outputRewrites.length > 0) rewriteEntities(run, fetch, batch, entities);
  for (let index = 0; index < objects.length; index++) {
    const entity: unknown = entities[numbers[index] as number];
    if (isTree(entity)) run.merge(objects[index] as Tree, run.copiesAnswers ? structuredClone(entity) : entity);
  }
}

function rewriteEntities(run: Run, { outputRewrites }: CompiledFetch, { objects, numbers = [] }: Batch, entities: readonly unknown[]): void {
  for (const [index, object] of objects.entries()) {
    const entity = entities[numbers[index] as number];
    if (isTree(entity)) entity['__typename'] ??= object['__typename'];
  }
  for (const entity of entities) applyRewrites(outputRewrites, entity, run.isOfType);
}

interface Received {
  readonly run: Run;
  readonly fetch: CompiledFetch;
  readonly batch: Batch;
  /** Whether there is data beside the errors. */
  readonly isUsable: boolean;
}

function tellErrors({ run, fetch, batch, isUsable }: Received, errors: readonly SubgraphError[]): void {
  const places = createPlaces(run, fetch, batch);
  let left = ERRORS_OF_A_FETCH_MAX;
  for (const error of errors) {
    const told: Told = { message: typeof error.message === 'string' ? error.message : UNUSABLE, ...(isTree(error.extensions) && { extensions: error.extensions }) };
    const paths = pathsOfError(fetch, places, error.path);
    if (paths !== undefined) left -= tellAt(run, fetch, paths, { told, max: left });
    // Of fields that are there it does not tell which it is about.
    else if (isUsable) left -= tellAt(run, fetch, [[]], { told, max: left });
    else tellEverywhere(run, fetch, batch, told);
  }
}

/** Places of an error in the operation; undefined for one whose path doesn't tell. */
function pathsOfError(fetch: CompiledFetch, places: Places, path: unknown): ResponsePath[] | undefined {
  if (!isResponsePath(path)) return undefined;
  if (fetch.represent === undefined) {
    const rest = renamedSegments(fetch, path);
    return places.ofAll().map((place) => [...place, ...rest]);
  }
  const [field, number, ...rest] = path;
  if (field !== ENTITIES_FIELD || typeof number !== 'number') return undefined;
  const found = places.ofRepresentation(number);
  const renamed = renamedSegments(fetch, rest);
  return found.length === 0 ? undefined : found.map((place) => [...place, ...renamed]);
}

function isResponsePath(path: unknown): path is ResponsePath {
  return Array.isArray(path) && path.length > 0 && path.every((segment) => typeof segment === 'string' || typeof segment === 'number');
}

function renamedSegments({ aliases }: CompiledFetch, path: ResponsePath): PathSegment[] {
  return path.map((segment) => (typeof segment === 'string' ? (aliases.get(segment) ?? segment) : segment));
}

/** One error for each field that the fetch was to bring. */
function tellEverywhere(run: Run, fetch: CompiledFetch, batch: Batch, told: Told): void {
  const places = createPlaces(run, fetch, batch);
  const selected = run.selectedNames(namesOnPath(fetch.steps));
  const { coercedVariables } = run.execution;
  const isTrue = (variable: string) => coercedVariables[variable] === true;
  const paths = batch.objects.flatMap((object) => {
    const brought = fetch.brings(object['__typename'] as string | undefined, isTrue).map((name) => fetch.aliases.get(name) ?? name);
    const names = brought.filter((name) => selected.has(name));
    // What only other fetches need is nowhere in the answer: the object that they complete stands for it.
    const ends = names.length > 0 ? names.map((name) => [name]) : [[]];
    return places.ofObject(object).flatMap((place) => ends.map((end) => [...place, ...end]));
  });
  tellAt(run, fetch, paths, { told, max: ERRORS_OF_A_FETCH_MAX });
}

/** @returns how many errors were told. */
function tellAt(run: Run, { subgraph }: CompiledFetch, paths: readonly ResponsePath[], { told, max }: { told: Told; max: number }): number {
  for (const path of paths.slice(0, max)) run.errors.push({ ...told, ...(path.length > 0 && { path }), subgraph });
  for (const path of paths.slice(max)) if (path.length > 0) run.untold.push(path);
  return Math.min(paths.length, max);
}

/** Where the objects of a batch are in the answer. */
interface Places {
  ofAll(): ResponsePath[];
  ofRepresentation(number: number): ResponsePath[];
  /** Only once for each object. */
  ofObject(object: Tree): ResponsePath[];
}

function createPlaces(run: Run, { steps }: CompiledFetch, { objects, numbers }: Batch): Places {
  const places = placesAt(run.root, steps);
  const left = new Map(places);
  const of = (object: Tree) => places.get(object) ?? [];
  return {
    ofAll: () => [...new Set(objects)].flatMap(of),
    ofRepresentation: (number) => [...new Set(objects.filter((_, index) => numbers?.[index] === number))].flatMap(of),
    ofObject: (object) => {
      const found = left.get(object) ?? [];
      left.delete(object);
      return found;
    },
  };
}
