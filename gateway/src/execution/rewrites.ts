import type { FetchDataRewrite } from '@apollo/query-planner';
import { isTree, ownMember, setOwnMember, type Tree } from './tree.ts';

/** Whether an object of the type `typename` fulfils the condition `... on condition`, in the whole supergraph. */
export type IsOfType = (typename: string, condition: string) => boolean;

const FRAGMENT = '... on ';

/** The type of a path segment `... on Type`; undefined for a name. */
export function fragmentType(segment: string): string | undefined {
  return segment.startsWith(FRAGMENT) ? segment.slice(FRAGMENT.length) : undefined;
}

/**
 * Changes `value` as a plan says: members set or renamed at paths of names and type conditions; lists on the way are entered.
 * An object that doesn't tell its type fulfils every condition.
 */
export function applyRewrites(rewrites: readonly FetchDataRewrite[], value: unknown, isOfType: IsOfType): void {
  for (const rewrite of rewrites) applyAt(rewrite, 0, value, isOfType);
}

function applyAt(rewrite: FetchDataRewrite, index: number, value: unknown, isOfType: IsOfType): void {
  if (Array.isArray(value)) {
    for (const element of value) applyAt(rewrite, index, element, isOfType);
    return;
  }
  const segment = rewrite.path[index];
  if (!isTree(value) || segment === undefined) return;
  const type = fragmentType(segment);
  if (type !== undefined) {
    const typename = value['__typename'];
    if (typeof typename !== 'string' || isOfType(typename, type)) applyAt(rewrite, index + 1, value, isOfType);
  } else if (index < rewrite.path.length - 1) applyAt(rewrite, index + 1, ownMember(value, segment), isOfType);
  else if (rewrite.kind === 'ValueSetter') setOwnMember(value, segment, rewrite.setValueTo);
  else rename(value, segment, rewrite.renameKeyTo);
}

function rename(tree: Tree, from: string, to: string): void {
  const value = ownMember(tree, from);
  if (value === undefined) return;
  setOwnMember(tree, to, value);
  tree[from] = undefined;
}
