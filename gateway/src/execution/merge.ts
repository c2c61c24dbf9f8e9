import { isTree, setOwnMember, type Tree } from './tree.ts';

/** Puts the members of an answer into the tree. Takes over the answer's objects, which must not be used elsewhere. */
export type Merge = (target: Tree, source: Tree) => void;

/**
 * @param isObjectType of the supergraph. A subgraph with an interface object calls an entity by the interface's name: that
 * never replaces the name of the entity's own type.
 */
export function createMerge(isObjectType: (name: string) => boolean): Merge {
  const merge: Merge = (target, source) => {
    for (const name in source) {
      const value = source[name];
      const present = target[name];
      if (present === undefined) target[name] = value;
      else if (present !== value) mergeMember(target, name, value);
    }
  };

  const mergeMember = (target: Tree, name: string, value: unknown): void => {
    const present = Object.hasOwn(target, name) ? target[name] : null;
    // What one subgraph brought stays when another one has nothing to say.
    if (value === null && present !== null) return;
    if (isTree(present) && isTree(value)) merge(present, value);
    else if (Array.isArray(present) && Array.isArray(value) && present.length === value.length) mergeLists(present, value);
    else if (name !== '__typename' || present === null || isObjectType(String(value))) setOwnMember(target, name, value);
  };

  const mergeLists = (target: unknown[], source: readonly unknown[]): void => {
    for (let index = 0; index < source.length; index++) {
      const present = target[index];
      const value = source[index];
      if (present === value || value === null) continue;
      if (isTree(present) && isTree(value)) merge(present, value);
      else if (Array.isArray(present) && Array.isArray(value) && present.length === value.length) mergeLists(present, value);
      else target[index] = value;
    }
  };

  return merge;
}
