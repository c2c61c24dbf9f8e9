/** What subgraphs answered, merged: members are response names, values any JSON. Executions change it in place. */
export type Tree = Record<string, unknown>;

export type PathSegment = string | number;
export type ResponsePath = readonly PathSegment[];

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a member of the object's own, never one of its prototype. */
export function ownMember(tree: Tree, name: string): unknown {
  return Object.hasOwn(tree, name) ? tree[name] : undefined;
}

/** Sets a member of the object's own whatever its name is, `__proto__` too. */
export function setOwnMember(tree: Tree, name: string, value: unknown): void {
  if (name in Object.prototype) Object.defineProperty(tree, name, { value, writable: true, enumerable: true, configurable: true });
  else tree[name] = value;
}
