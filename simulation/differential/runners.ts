import { executeQueryPlan, type GraphQLDataSource, type ServiceMap } from '@apollo/gateway';
import type { QueryPlan } from '@apollo/query-planner';
import { Kind, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode } from 'graphql';
import type { CompiledOperation } from '../../gateway/src/execution/compiled-operation.ts';
import type { LoadedSupergraph } from '../../gateway/src/federation.ts';
import type { SubgraphAnswer } from '../../gateway/src/operation-context.ts';
import type { Answers } from './answers.ts';
import type { Answered } from './comparison.ts';
import type { Path } from './merged-tree.ts';

export interface Run {
  readonly answers: Answers;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly coerced: Readonly<Record<string, unknown>>;
}

interface Planned {
  readonly plan: QueryPlan;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly loaded: LoadedSupergraph;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** By Apollo's executor; the violations that it tells in an extension are errors here. */
export async function runApollo({ plan, document, operation, loaded }: Planned, { answers, variables }: Run): Promise<Answered> {
  const serviceMap = new Proxy<ServiceMap>({}, { get: (_, subgraph) => sourceOf(answers, String(subgraph)), has: () => true });
  const fragments = document.definitions.filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION);
  try {
    const result = await executeQueryPlan(
      plan,
      serviceMap,
      { request: { variables }, context: {}, metrics: {}, logger: silent } as never,
      { schema: loaded.schema, operation, fragments: Object.fromEntries(fragments.map((fragment) => [fragment.name.value, fragment])) },
      loaded.supergraphSchema,
      loaded.apiSchema,
    );
    const violations = (result.extensions?.['valueCompletion'] ?? []) as readonly { readonly path?: Path }[];
    const data = result.data === undefined ? undefined : (JSON.parse(JSON.stringify(result.data)) as Record<string, unknown> | null);
    return { data, paths: [...(result.errors ?? []), ...violations].map(({ path }) => path) };
  } catch {
    return { data: undefined, paths: [] };
  }
}

function sourceOf(answers: Answers, subgraph: string): GraphQLDataSource {
  return {
    process: async ({ request }) => {
      const answer = answers.answer({ subgraph, query: request.query ?? '', variables: request.variables ?? {} });
      if (answer === undefined) throw new Error(`${subgraph} does not answer`);
      const received: object = asReceived(answer);
      return received;
    },
  };
}

/** By ours. */
export async function runOurs(compiled: CompiledOperation, { answers, variables, coerced }: Run): Promise<Answered> {
  const result = await compiled.execute({
    variables,
    coercedVariables: coerced,
    fetch: async ({ subgraph, body }) => {
      const { query, variables: sent = {} } = JSON.parse(body) as { query: string; variables?: Record<string, unknown> };
      const answer = answers.answer({ subgraph, query, variables: sent });
      return answer === undefined ? { code: 'SERVICE_UNAVAILABLE', reason: `${subgraph} does not answer` } : asReceived(answer);
    },
  });
  const data = JSON.parse(JSON.stringify(result.data)) as Record<string, unknown> | null;
  return { data, paths: (result.errors ?? []).map(({ path }) => path) };
}

/** As it comes out of a response's body. */
function asReceived(answer: SubgraphAnswer): SubgraphAnswer {
  return JSON.parse(JSON.stringify(answer)) as SubgraphAnswer;
}
