import type { Execution, ExecutionError } from './compiled-operation.ts';
import type { CompiledFetch } from './compiled-fetch.ts';
import type { FetchJoiner } from './joined-fetches.ts';
import type { Merge } from './merge.ts';
import type { IsOfType } from './rewrites.ts';
import type { ResponsePath, Tree } from './tree.ts';

/** What all executions of an operation share. */
export interface RunParts {
  readonly merge: Merge;
  readonly isOfType: IsOfType;
  /** Response names that clients get at a place of the operation, named by the fields on the way. */
  readonly selectedNames: (way: readonly string[]) => ReadonlySet<string>;
  /** Whether answers are copied for each place: places with the same entity may then get different data. */
  readonly copiesAnswers: boolean;
  readonly joiner: FetchJoiner;
}

/** One execution under way. */
export interface Run extends RunParts {
  readonly execution: Execution;
  readonly root: Tree;
  /** In the order in which they came; paths are the tree's. */
  readonly errors: ExecutionError[];
  /** Places of failures beyond those that are told: nulls there need no error of their own. */
  readonly untold: ResponsePath[];
  /** Entity fetches that wait for the end of the turn. */
  readonly outbox: PendingFetch[];
  readonly fail: (error: unknown) => void;
}

/** The objects that one request completes. */
export interface Batch {
  readonly objects: readonly Tree[];
  /** For each object which of the representations is its own; undefined for fetches that are not of entities. */
  readonly numbers: readonly number[] | undefined;
  /** JSON of distinct representations. */
  readonly representations: readonly string[];
  /** Members of the JSON of the variables that the context gives. */
  readonly contextMembers: string;
}

export interface PendingFetch {
  readonly fetch: CompiledFetch;
  readonly batch: Batch;
  readonly finished: () => void;
}

/** A part of a plan: calls `done` once, when it is through. */
export type Step = (run: Run, done: () => void) => void;
