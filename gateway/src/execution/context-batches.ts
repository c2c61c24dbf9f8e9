import type { FetchDataKeyRenamer } from '@apollo/query-planner';
import type { CompiledFetch } from './compiled-fetch.ts';
import { entityBatch } from './entity-batch.ts';
import { eachPlace } from './flatten-path.ts';
import { fragmentType, type IsOfType } from './rewrites.ts';
import type { Batch, Run } from './run.ts';
import { isTree, ownMember, type Tree } from './tree.ts';

const UP = '..';

/** Batches of a fetch with arguments from the context: entities for which these differ can't share a request. */
export function contextBatches(run: Run, fetch: CompiledFetch): Batch[] {
  const entities = new Map<string, Tree[]>();
  eachPlace(run.root, fetch.steps, (object, { objects }) => {
    const members = contextMembers(fetch.contextRewrites, objects, run.isOfType);
    const known = entities.get(members);
    if (known === undefined) entities.set(members, [object]);
    else known.push(object);
  });
  return [...entities].flatMap(([members, found]) => {
    if (fetch.represent === undefined) return [{ objects: found, numbers: undefined, representations: [], contextMembers: members }];
    return entityBatch(fetch, found, members) ?? [];
  });
}

/** The JSON members of the variables that objects around an entity give it; `around` goes from the root to the entity. */
function contextMembers(rewrites: readonly FetchDataKeyRenamer[], around: readonly Tree[], isOfType: IsOfType): string {
  const values = new Map<string, unknown>();
  for (const { path, renameKeyTo } of rewrites) {
    const levels = path.findIndex((segment) => segment !== UP);
    const source = around[around.length - 1 - levels];
    const value = valueAt(source, path.slice(levels), isOfType);
    if (value !== undefined && !values.has(renameKeyTo)) values.set(renameKeyTo, value);
  }
  return [...values].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',');
}

function valueAt(value: unknown, path: readonly string[], isOfType: IsOfType): unknown {
  const [segment, ...rest] = path;
  if (segment === undefined || value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map((element) => valueAt(element, path, isOfType));
  if (!isTree(value)) return undefined;
  const type = fragmentType(segment);
  if (type === undefined) return valueAt(ownMember(value, segment), rest, isOfType);
  const typename = value['__typename'];
  return typeof typename !== 'string' || isOfType(typename, type) ? valueAt(value, rest, isOfType) : undefined;
}
