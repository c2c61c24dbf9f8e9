import { operationFromDocument } from '@apollo/federation-internals';
import type { PlanNode, QueryPlan } from '@apollo/query-planner';
import { getVariableValues, Kind, parse, validate, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode } from 'graphql';
import type { CompiledOperation } from '../../gateway/src/execution/compiled-operation.ts';
import type { LoadedSupergraph } from '../../gateway/src/federation.ts';
import { createAnswers } from './answers.ts';
import { chanceOf } from './chance.ts';
import { judge, type Answered, type Verdict } from './comparison.ts';
import { complete, type Completed } from './completion.ts';
import { drawProfile, type FaultProfile } from './faults.ts';
import { drawOperation, type DrawnOperation } from './operation-maker.ts';
import { withoutOddAliases, withOddAliases } from './odd-aliases.ts';
import { gather, type Gathered, type Gathering } from './reference.ts';
import { runApollo, runOurs } from './runners.ts';
import { drawSupergraph, type DrawnSupergraph } from './supergraph.ts';

export type Compile = (supergraph: LoadedSupergraph, document: DocumentNode, operation: OperationDefinitionNode) => CompiledOperation;

/** How cases share what is slow to make: composing first, planning next. */
export interface Shares {
  readonly operationsOfASupergraph: number;
  readonly answersOfAnOperation: number;
}

const SHARES: Shares = { operationsOfASupergraph: 25, answersOfAnOperation: 8 };
const ATTEMPTS_MAX = 50;

export interface CheckedCase {
  readonly number: number;
  readonly supergraph: DrawnSupergraph;
  readonly operation: PlannedOperation;
  readonly profile: FaultProfile;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly faults: ReadonlyMap<string, number>;
  readonly gathered: Gathered;
  readonly completed: Completed;
  readonly ours: Answered;
  readonly apollo: Answered;
  readonly verdict: Verdict;
  /** Whether ours and Apollo's are the same without any rule. */
  readonly same: boolean;
}

interface Reference {
  readonly gathered: Gathered;
  readonly completed: Completed;
}

export interface PlannedOperation {
  readonly drawn: DrawnOperation;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly plan: QueryPlan;
  /** Without odd aliases, for the reference; the same where there are none. */
  readonly plain: DocumentNode;
  readonly plainPlan: QueryPlan;
  readonly planNodes: readonly string[];
  readonly compiled: CompiledOperation;
}

/** Draws cases of a seed by number and checks them; neighbours share a supergraph and an operation. */
export function createCases(seed: number, compile: Compile, { operationsOfASupergraph, answersOfAnOperation } = SHARES): (number: number) => Promise<CheckedCase> {
  const supergraphOfCase = (number: number) => supergraphOf(Math.floor(number / answersOfAnOperation / operationsOfASupergraph));
  const supergraphOf = lastMade((index: number) => drawSupergraph(seed * 100_003 + index));
  const operationOf = lastMade((index: number) => planOperation(supergraphOf(Math.floor(index / operationsOfASupergraph)), `${seed} ${index}`, compile));
  return (number) => check(seed, number, supergraphOfCase(number), operationOf(Math.floor(number / answersOfAnOperation)));
}

function lastMade<Made>(make: (index: number) => Made): (index: number) => Made {
  let last: { readonly index: number; readonly made: Made } | undefined;
  return (index) => {
    if (last?.index !== index) last = { index, made: make(index) };
    return last.made;
  };
}

function planOperation({ loaded }: DrawnSupergraph, seed: string, compile: Compile): PlannedOperation {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const drawn = drawOperation(loaded.schema, chanceOf('operation', seed, attempt));
    const document = parse(drawn.text, { noLocation: true });
    if (validate(loaded.schema, document).length > 0) continue;
    const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
    if (operation === undefined) continue;
    const plan = planOf(loaded, document);
    if (plan === undefined) continue;
    const plain = withoutOddAliases(document);
    const plainPlan = plain === document ? plan : planOf(loaded, plain);
    if (plainPlan === undefined) continue;
    const planNodes = plan.node === undefined || plan.node.kind === 'Subscription' ? [] : nodesOf(plan.node);
    return { drawn, document, operation, plan, plain, plainPlan, planNodes, compiled: compile(loaded, document, operation) };
  }
  throw new Error(`No operation of ${seed} is valid`);
}

/** Undefined when the planner gives up, which it does at some valid operations: without a plan there is nothing to compare. */
function planOf({ planner, apiSchema }: LoadedSupergraph, document: DocumentNode): QueryPlan | undefined {
  try {
    return planner.buildQueryPlan(operationFromDocument(apiSchema, document, { validate: false }));
  } catch {
    return undefined;
  }
}

/** The kinds of a plan's nodes. */
function nodesOf(node: PlanNode): string[] {
  switch (node.kind) {
    case 'Fetch':
      return [node.requires === undefined ? 'Fetch of root fields' : 'Fetch of entities', ...(node.inputRewrites === undefined ? [] : ['input rewrite']), ...(node.outputRewrites === undefined ? [] : ['output rewrite'])];
    case 'Flatten':
      return ['Flatten', ...nodesOf(node.node)];
    case 'Sequence':
    case 'Parallel':
      return [node.kind, ...node.nodes.flatMap(nodesOf)];
    case 'Condition':
      return ['Condition', ...[node.ifClause, node.elseClause].flatMap((branch) => (branch === undefined ? [] : nodesOf(branch)))];
    case 'Defer':
      break;
  }
  throw new Error('Nothing is deferred');
}

async function check(seed: number, number: number, supergraph: DrawnSupergraph, operation: PlannedOperation): Promise<CheckedCase> {
  const { loaded, subgraphs } = supergraph;
  const profile = drawProfile(`${seed} ${number}`);
  const { variables, coerced } = drawVariables(loaded, operation, `${seed} ${number}`);
  const answers = createAnswers({ subgraphs, apiSchema: loaded.schema }, profile);
  const gathering: Gathering = { plan: operation.plainPlan, answers, supergraphSchema: loaded.supergraphSchema, subgraphs, variables, coerced, lastFirst: false };
  const reference = refer(gathering, loaded, operation);
  const faults = new Map(answers.faults);
  const run = { answers, variables, coerced };
  const apollo = await runApollo({ ...operation, loaded }, run);
  const ours = await runOurs(operation.compiled, run);
  const { gathered, completed, verdict } = judgeInAnyOrder(reference, () => refer({ ...gathering, lastFirst: true }, loaded, operation), { ours, apollo });
  const same = apollo.data !== undefined && verdict.rules.size === 0 && verdict.unexplained.length === 0;
  return { number, supergraph, operation, profile, variables, faults, gathered, completed, ours, apollo, verdict, same };
}

/** Fetches at the same time may find what others brought, or not: where that matters, the other order is as good. */
function judgeInAnyOrder(reference: Reference, otherWay: () => Reference, answered: { readonly ours: Answered; readonly apollo: Answered }): Reference & { readonly verdict: Verdict } {
  const verdict = judge({ ...reference, ...answered });
  if (verdict.wrong.length === 0 && verdict.unexplained.length === 0) return { ...reference, verdict };
  const other = otherWay();
  const second = judge({ ...other, ...answered });
  // Apollo's executor may have met the one order, and ours the other.
  const unexplained = verdict.unexplained.length === 0 ? [] : second.unexplained;
  if (second.wrong.length > 0 || unexplained.length > 0) return { ...reference, verdict };
  return { ...other, verdict: { wrong: [], unexplained, rules: new Set([...verdict.rules, ...second.rules, 'order of fetches' as const]) } };
}

function refer(gathering: Gathering, { schema }: LoadedSupergraph, { plain, document }: PlannedOperation): Reference {
  const gathered = gather(gathering);
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of plain.definitions) if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const operation = plain.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error('No operation');
  const completed = complete({ schema, operation, fragments, variables: gathering.coerced }, gathered.tree);
  if (plain === document) return { gathered, completed };
  const told = { told: withOddAliases(gathered.told), unplaced: withOddAliases(gathered.unplaced) };
  const features = [...withOddAliases(gathered.features), { rule: 'odd alias', path: undefined }, { rule: 'odd alias', path: [] }];
  return { gathered: { ...gathered, ...told, features }, completed: withOddAliases(completed) };
}

function drawVariables({ schema }: LoadedSupergraph, { drawn, operation }: PlannedOperation, seed: string) {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const variables = drawn.variables(chanceOf('variables', seed, attempt));
    const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
    if (coerced !== undefined) return { variables, coerced };
  }
  throw new Error(`No variables of ${seed} fit`);
}
