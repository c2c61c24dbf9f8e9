import type { Completed } from './completion.ts';
import { isTree, type Feature, type Path } from './merged-tree.ts';
import type { Gathered } from './reference.ts';
import { REFUSING, type Rule } from './rules.ts';

/** An answer as far as it is compared. */
export interface Answered {
  /** Undefined: refused as a whole. */
  readonly data: Record<string, unknown> | null | undefined;
  /** Of errors; undefined for those without one. */
  readonly paths: readonly (Path | undefined)[];
}

export interface Verdict {
  /** How ours differs from what the specification asks. */
  readonly wrong: readonly string[];
  /** How ours differs from Apollo's without a rule that explains it. */
  readonly unexplained: readonly string[];
  /** What explains differences. */
  readonly rules: ReadonlySet<Rule>;
}

const ERRORS_REQUIRED_MAX = 90;

interface Expectation {
  readonly data: Record<string, unknown> | null;
  readonly required: ReadonlySet<string>;
  readonly permitted: ReadonlySet<string>;
  /** Of each set at least one. */
  readonly someOf: readonly ReadonlySet<string>[];
}

export function judge({ gathered, completed, ours, apollo }: { readonly gathered: Gathered; readonly completed: Completed; readonly ours: Answered; readonly apollo: Answered }): Verdict {
  const expectation = expectationOf(gathered, completed);
  const rules = new Set<Rule>();
  return { wrong: againstExpectation(ours, expectation), unexplained: againstApollo({ gathered, completed, ours, apollo }, rules), rules };
}

function expectationOf({ told, unplaced }: Gathered, { data, violations }: Completed): Expectation {
  // Of very many errors only some are told.
  const all = new Set(told.map(keyOf));
  const required = all.size > ERRORS_REQUIRED_MAX ? new Set<string>() : all;
  const permitted = new Set<string>(all);
  const somewhere = unplaced.flat();
  for (const { path, isNull, late } of violations) {
    const isTold = isNull && [...told, ...somewhere].some((each) => each !== undefined && related(each, path));
    (late || isTold ? permitted : required).add(keyOf(path));
  }
  for (const path of somewhere) permitted.add(keyOf(path));
  return { data, required, permitted, someOf: unplaced.map((paths) => new Set(paths.map(keyOf))) };
}

function againstExpectation(ours: Answered, { data, required, permitted, someOf }: Expectation): string[] {
  const wrong = differences(data, ours.data).map(({ path, what }) => `data at ${keyOf(path)}: ${what}`);
  const given = new Set(ours.paths.map(keyOf));
  for (const key of required) if (!given.has(key)) wrong.push(`no error at ${key}`);
  for (const key of given) if (!required.has(key) && !permitted.has(key)) wrong.push(`an error too many at ${key}`);
  for (const keys of someOf) if (![...keys].some((key) => given.has(key))) wrong.push(`no error for a failed fetch of ${[...keys].join(' ')}`);
  return wrong;
}

function againstApollo({ gathered, completed, ours, apollo }: Omit<Parameters<typeof judge>[0], never>, rules: Set<Rule>): string[] {
  const features = [...gathered.features, ...completed.features];
  if (apollo.data === undefined) {
    const reasons = features.filter(({ rule }) => REFUSING.has(rule));
    for (const { rule } of reasons) rules.add(rule as Rule);
    return reasons.length > 0 ? [] : ['Apollo refuses the whole answer'];
  }
  const unexplained: string[] = [];
  for (const { path, what, isOrder } of differences(apollo.data, ours.data)) {
    const reasons = isOrder ? [{ rule: 'order of fields' }] : featuresAt(features, path);
    for (const { rule } of reasons) rules.add(rule as Rule);
    if (reasons.length === 0) unexplained.push(`data at ${keyOf(path)}: ${what}`);
  }
  const explain = errorExplanations({ features, completed, apollo, told: new Set(gathered.told.map(keyOf)), toldByApollo: gathered.told.length > 0 || features.some(({ path }) => path === undefined) });
  const theirs = new Map(apollo.paths.map((path) => [keyOf(path), path]));
  const given = new Map(ours.paths.map((path) => [keyOf(path), path]));
  for (const [from, to, which] of [[given, theirs, 'only ours'], [theirs, given, 'only Apollo’s']] as const) {
    for (const [key, path] of from) {
      if (to.has(key)) continue;
      const reasons = explain(path, which === 'only ours');
      for (const rule of reasons) rules.add(rule);
      if (reasons.length === 0) unexplained.push(`error at ${key}: ${which}`);
    }
  }
  return unexplained;
}

/** The outermost place on the way of a path that became null. */
function nullOn(path: Path, data: unknown): Path | undefined {
  let value = data;
  for (let depth = 0; depth <= path.length; depth += 1) {
    if (value === null) return path.slice(0, depth);
    if (typeof value !== 'object') return undefined;
    value = (value as Record<string | number, unknown>)[path[depth] ?? ''];
  }
  return undefined;
}

interface Explaining {
  readonly features: readonly Feature[];
  readonly completed: Completed;
  readonly apollo: Answered;
  readonly told: ReadonlySet<string>;
  readonly toldByApollo: boolean;
}

function errorExplanations({ features, completed, apollo, told, toldByApollo }: Explaining) {
  const violations = new Map(completed.violations.map((violation) => [keyOf(violation.path), violation]));
  return (path: Path | undefined, isOurs: boolean): Rule[] => {
    if (path === undefined) return features.filter((feature) => feature.path === undefined).map(({ rule }) => rule as Rule);
    const violation = violations.get(keyOf(path));
    if (!isOurs && told.has(keyOf(path)) && told.size > ERRORS_REQUIRED_MAX) return ['very many errors'];
    if (isOurs && violation !== undefined && toldByApollo) return ['violations beside other errors'];
    const nulled = isOurs && violation !== undefined ? nullOn(path, completed.data) : undefined;
    // Apollo has a null further out, for a reason of its own, which explains the difference there.
    if (nulled !== undefined && (nullOn(path, apollo.data)?.length ?? Infinity) < nulled.length) return ['fields given up'];
    if (nulled !== undefined && apollo.paths.some((other) => other !== undefined && other.length >= nulled.length && related(nulled, other))) return ['fields given up'];
    if (!isOurs && violation !== undefined) return [violation.late ? 'fields given up' : 'one error for a field'];
    return featuresAt(features, path).map(({ rule }) => rule as Rule);
  };
}

function featuresAt(features: readonly Feature[], path: Path): Feature[] {
  return features.filter((feature) => feature.path !== undefined && related(feature.path, path));
}

/** Whether one is the other, or a field in it. */
function related(one: Path, other: Path): boolean {
  return one.every((segment, index) => index >= other.length || segment === other[index]);
}

export function keyOf(path: Path | undefined): string {
  return path === undefined ? 'no path' : JSON.stringify(path);
}

interface Difference {
  readonly path: Path;
  readonly what: string;
  readonly isOrder: boolean;
}

/** Where two answers differ, the order of fields included. */
export function differences(one: unknown, other: unknown, path: Path = []): Difference[] {
  if (Object.is(one, other)) return [];
  if (Array.isArray(one) && Array.isArray(other) && one.length === other.length) return one.flatMap((item, index) => differences(item, other[index], [...path, index]));
  if (!isTree(one) || !isTree(other)) return [{ path, what: `${shown(one)} and ${shown(other)}`, isOrder: false }];
  const names = Object.keys(one);
  const found = names.filter((name) => Object.hasOwn(other, name)).flatMap((name) => differences(one[name], other[name], [...path, name]));
  const missing = [...names.filter((name) => !Object.hasOwn(other, name)), ...Object.keys(other).filter((name) => !Object.hasOwn(one, name))];
  for (const name of missing) found.push({ path: [...path, name], what: `${shown(own(one, name))} and ${shown(own(other, name))}`, isOrder: false });
  if (missing.length === 0 && names.join() !== Object.keys(other).join()) found.push({ path, what: `fields in order ${names.join()} and ${Object.keys(other).join()}`, isOrder: true });
  return found;
}

function own(tree: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(tree, name) ? tree[name] : undefined;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 120);
}
