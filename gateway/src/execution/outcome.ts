import type { PathSegment, Tree } from './tree.ts';

/** Something that subgraphs' data violated. */
export interface Violation {
  readonly message: string;
  /** From its end to its start: objects and lists on the way back to the root append themselves. */
  readonly reversedPath: PathSegment[];
  /** Whether it is a null, which an error that a subgraph told already may explain. */
  readonly isNull: boolean;
}

/** Where shaping one answer collects; shared by all functions of its projection. */
export interface Outcome {
  /** How many violations there are: the only thing to look at as long as all is well. */
  count: number;
  violations: Violation[];
  /** Answers of introspection fields, by number. */
  readonly introspected: readonly unknown[];
}

/** What a position of the operation expects. */
export interface Position {
  /** For messages: `Type.field`. */
  readonly coordinate: string;
  readonly typeName: string;
  readonly isNonNull: boolean;
  /** Subgraphs may give ids as integers; clients get strings. */
  readonly isId: boolean;
}

// Of the functions below, undefined as an outcome says that the null goes on to the object around.

/** Decides what becomes of a value that is not plainly what its position expects. */
export function settleValue(outcome: Outcome, value: unknown, segment: PathSegment, position: Position): unknown {
  if (value === null || value === undefined) return settleNull(outcome, segment, position);
  if (position.isId && typeof value === 'number' && Number.isInteger(value)) return String(value);
  report(outcome, `A value that is no ${position.typeName} came for ${position.coordinate}`, [segment], false);
  return position.isNonNull ? undefined : null;
}

export function settleNull(outcome: Outcome, segment: PathSegment, position: Position): null | undefined {
  if (!position.isNonNull) return null;
  report(outcome, `Cannot return null for non-nullable ${position.coordinate}`, [segment], true);
  return undefined;
}

/** For a value, at whose position the caller is, that is no object or no list where there should be one. */
export function refuseValue(outcome: Outcome, position: Position): undefined {
  report(outcome, `A value that is no ${position.typeName} came for ${position.coordinate}`, [], false);
  return undefined;
}

/** For an object of a type that its position can't have, or that clients may not see. */
export function refuseType(outcome: Outcome, position: Position): undefined {
  report(outcome, `An object of another type than ${position.typeName} came for ${position.coordinate}`, [], false);
  return undefined;
}

/** Appends a segment to the paths of the violations since the `from`th. */
export function appendSegment({ violations }: Outcome, from: number, segment: PathSegment): void {
  for (let index = from; index < violations.length; index++) violations[index]?.reversedPath.push(segment);
}

function report(outcome: Outcome, message: string, reversedPath: PathSegment[], isNull: boolean): void {
  outcome.violations.push({ message, reversedPath, isNull });
  outcome.count = outcome.violations.length;
}

/** Makes the answer's data of the tree; undefined when a null reached the root. */
export type Shape = (tree: Tree, outcome: Outcome) => Tree | undefined;
