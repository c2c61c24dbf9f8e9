import type { ResponsePath as PlanPath } from '@apollo/query-planner';
import { readMember, type Constants } from './generated-code.ts';
import { isTree, ownMember, type PathSegment, type ResponsePath, type Tree } from './tree.ts';

/** A step on the way from the root of the tree to the objects that a fetch completes. */
export type FlattenStep =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'elements' }
  /** Only objects of these types go on. */
  | { readonly kind: 'types'; readonly names: ReadonlySet<string> };

const TYPE_CONDITION = /^(?<name>[^|]*)\|\[(?<types>.*)\]$/;

/** The steps of a plan's path: names, `@` for the elements of a list, `name|[A,B]` for objects of these types only. */
export function flattenSteps(path: PlanPath): FlattenStep[] {
  return path.flatMap((segment): FlattenStep[] => {
    const { name = segment, types } = TYPE_CONDITION.exec(String(segment))?.groups ?? {};
    const condition: FlattenStep[] = types === undefined ? [] : [{ kind: 'types', names: new Set(types.split(',')) }];
    if (name === '') return condition;
    return [name === '@' ? { kind: 'elements' } : { kind: 'member', name: String(name) }, ...condition];
  });
}

/** Response names on the way, without list steps. */
export function namesOnPath(steps: readonly FlattenStep[]): string[] {
  return steps.flatMap((step) => (step.kind === 'member' ? step.name : []));
}

/** Source of `(root) => objects`: those at the end of the steps, in the order of the lists on the way, without nulls. */
export function gatherSource(steps: readonly FlattenStep[], constants: Constants): string {
  const lines = ['(v0) {', 'const found = [];'];
  for (const [index, step] of steps.entries()) {
    const [from, to] = [`v${index}`, `v${index + 1}`];
    if (step.kind === 'member') lines.push(`const ${to} = ${readMember(from, step.name)};`, `if (${to} !== undefined && ${to} !== null) {`);
    else if (step.kind === 'types') lines.push(`const ${to} = ${from};`, `if (${constants.add(step.names)}.has(${to}.__typename)) {`);
    else lines.push(`if (Array.isArray(${from})) for (const ${to} of ${from}) if (${to} !== undefined && ${to} !== null) {`);
  }
  const last = `v${steps.length}`;
  lines.push(`if (typeof ${last} === "object" && !Array.isArray(${last})) found.push(${last});`, '}'.repeat(steps.length), 'return found;', '}');
  return lines.join('\n');
}

/** Where the objects at the end of the steps are; one object can be at many places. */
export function placesAt(root: Tree, steps: readonly FlattenStep[]): Map<Tree, ResponsePath[]> {
  const places = new Map<Tree, ResponsePath[]>();
  eachPlace(root, steps, (object, { path }) => {
    const known = places.get(object);
    if (known === undefined) places.set(object, [path.slice()]);
    else known.push(path.slice());
  });
  return places;
}

interface Way {
  readonly path: PathSegment[];
  /** Objects from the root to the one that is reached, which is the last. */
  readonly objects: Tree[];
}

/** Visits the objects at the end of the steps; the way is only lent. */
export function eachPlace(root: Tree, steps: readonly FlattenStep[], visit: (object: Tree, way: Way) => void): void {
  const way: Way = { path: [], objects: [] };
  const walk = (value: unknown, index: number): void => {
    const step = steps[index];
    if (step?.kind === 'elements') {
      if (!Array.isArray(value)) return;
      for (const [position, element] of value.entries()) {
        way.path.push(position);
        walk(element, index + 1);
        way.path.pop();
      }
      return;
    }
    if (!isTree(value)) return;
    const isNew = way.objects.at(-1) !== value;
    if (isNew) way.objects.push(value);
    if (step === undefined) visit(value, way);
    else if (step.kind === 'types') {
      if (step.names.has(String(value['__typename']))) walk(value, index + 1);
    } else {
      way.path.push(step.name);
      walk(ownMember(value, step.name), index + 1);
      way.path.pop();
    }
    if (isNew) way.objects.pop();
  };
  walk(root, 0);
}

