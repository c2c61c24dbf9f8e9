import type { ExecutionError, ExecutionResult } from './compiled-operation.ts';
import type { Outcome, Violation } from './outcome.ts';
import type { Run } from './run.ts';
import type { PathSegment, ResponsePath, Tree } from './tree.ts';

/** Puts data and errors together; `responseName` gives the client's name for one of the tree's. */
export function settledResult(run: Run, data: Tree | undefined, outcome: Outcome, responseName: ((safe: string) => string) | undefined): ExecutionResult {
  if (run.errors.length === 0 && outcome.count === 0) return { data: data ?? null };
  const told = outcome.count === 0 ? [] : violationErrors(run, outcome.violations);
  const errors = [...run.errors, ...told];
  return { data: data ?? null, errors: responseName === undefined ? errors : errors.map((error) => withClientNames(error, responseName)) };
}

function violationErrors(run: Run, violations: readonly Violation[]): ExecutionError[] {
  const explained = createExplanations([...run.errors.flatMap(({ path }) => (path === undefined ? [] : [path])), ...run.untold]);
  return violations.flatMap(({ message, reversedPath, isNull }) => {
    const path = reversedPath.toReversed();
    return isNull && explained(path) ? [] : [{ message, path }];
  });
}

interface Branch {
  ends: boolean;
  readonly branches: Map<PathSegment, Branch>;
}

/** Tells whether an error at a path is already explained by one at, above or below it: a field is told once. */
function createExplanations(paths: readonly ResponsePath[]): (path: ResponsePath) => boolean {
  const root: Branch = { ends: false, branches: new Map() };
  for (const path of paths) {
    let branch = root;
    for (const segment of path) {
      const next = branch.branches.get(segment) ?? { ends: false, branches: new Map() };
      branch.branches.set(segment, next);
      branch = next;
    }
    branch.ends = true;
  }
  return (path) => {
    let branch = root;
    for (const segment of path) {
      if (branch.ends) return true;
      const next = branch.branches.get(segment);
      if (next === undefined) return false;
      branch = next;
    }
    return true;
  };
}

function withClientNames(error: ExecutionError, responseName: (safe: string) => string): ExecutionError {
  if (error.path === undefined) return error;
  return { ...error, path: error.path.map((segment) => (typeof segment === 'string' ? responseName(segment) : segment)) };
}
