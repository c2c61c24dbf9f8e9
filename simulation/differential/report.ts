import { print } from 'graphql';
import { prettyFormatQueryPlan } from '@apollo/query-planner';
import type { CheckedCase } from './cases.ts';
import { keyOf } from './comparison.ts';
import { RULES, type Rule } from './rules.ts';

/** How many cases had what. */
export interface Tally {
  cases: number;
  same: number;
  wrong: number;
  unexplained: number;
  readonly counts: Map<string, number>;
}

export function createTally(): Tally {
  return { cases: 0, same: 0, wrong: 0, unexplained: 0, counts: new Map() };
}

export function addToTally(tally: Tally, checked: CheckedCase): void {
  const { profile, operation, faults, verdict, gathered, completed } = checked;
  tally.cases += 1;
  if (checked.same) tally.same += 1;
  if (verdict.wrong.length > 0) tally.wrong += 1;
  if (verdict.unexplained.length > 0) tally.unexplained += 1;
  const seen = [
    `answers: ${profile.manner}`,
    `operation: ${operation.operation.operation}`,
    ...operation.planNodes.map((kind) => `plan: ${kind}`),
    ...[...faults.keys()].map((fault) => `fault: ${fault}`),
    ...[...verdict.rules].map((rule) => `rule: ${rule}`),
    ...(completed.data === null ? ['answer: null reached the root'] : []),
    ...(gathered.told.length + gathered.unplaced.length > 0 ? ['answer: errors of subgraphs'] : []),
    ...(completed.violations.length > 0 ? ['answer: errors of the gateway'] : []),
  ];
  for (const what of new Set(seen)) tally.counts.set(what, (tally.counts.get(what) ?? 0) + 1);
}

export function describeTally({ cases, same, wrong, unexplained, counts }: Tally): string {
  const lines = [...counts].sort(([one], [other]) => (one < other ? -1 : 1)).map(([what, count]) => `  ${String(count).padStart(7)} ${what}${passageOf(what)}`);
  return [...lines, `${cases} cases: ${same} the same as Apollo’s, ${cases - same - unexplained} different for the reasons above, ${unexplained} unexplained; ${wrong} not as the specification asks`].join('\n');
}

function passageOf(what: string): string {
  const rule = what.replace(/^rule: /, '');
  return rule in RULES && what !== rule ? `\n            ${RULES[rule as Rule]}` : '';
}

export function isFailure({ verdict }: CheckedCase): boolean {
  return verdict.wrong.length > 0 || verdict.unexplained.length > 0;
}

export function describeFailure({ number, profile, faults, verdict }: CheckedCase, seed: number): string {
  const lines = [...verdict.wrong.map((line) => `  not as the specification asks: ${line}`), ...verdict.unexplained.map((line) => `  unlike Apollo’s: ${line}`)];
  return [`case ${number}, ${profile.manner}${[...faults].map(([fault, count]) => `, ${count} × ${fault}`).join('')}`, ...lines.slice(0, 8), `  again: npm run differential -- --seed ${seed} --case ${number}`].join('\n');
}

/** Everything about a case, for whoever looks into it. */
export function describeCase(checked: CheckedCase): string {
  const { supergraph, operation, variables, gathered, completed, ours, apollo } = checked;
  return [
    ...supergraph.sources.map(({ name, sdl }) => `# ${name}\n${sdl}`),
    print(operation.document),
    `variables ${JSON.stringify(variables)}`,
    prettyFormatQueryPlan(operation.plan),
    `merged     ${JSON.stringify(gathered.tree)}`,
    `expected   ${JSON.stringify(completed.data)}`,
    `ours       ${JSON.stringify(ours.data)}`,
    `apollo’s   ${JSON.stringify(apollo.data)}`,
    `told       ${gathered.told.map(keyOf).join(' ')}`,
    `violations ${completed.violations.map(({ path, isNull, late }) => `${keyOf(path)}${isNull ? ' null' : ''}${late ? ' late' : ''}`).join(' ')}`,
    `errors of ours     ${ours.paths.map(keyOf).join(' ')}`,
    `errors of apollo’s ${apollo.paths.map(keyOf).join(' ')}`,
    `features   ${[...gathered.features, ...completed.features].map(({ rule, path }) => `${rule} ${keyOf(path)}`).join(', ')}`,
  ].join('\n\n');
}
