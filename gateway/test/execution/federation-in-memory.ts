import { composeServices } from '@apollo/composition';
import { Supergraph } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, getOperationAST, getVariableValues, GraphQLError, parse, validate, type GraphQLSchema } from 'graphql';
import { compileOperation } from '../../src/execution/compile-operation.ts';
import type { CompiledOperation, ExecutionResult, FetchRequest } from '../../src/execution/compiled-operation.ts';
import type { LoadedSupergraph } from '../../src/federation.ts';
import type { FetchFailure } from '../../src/fetch-errors.ts';
import type { SubgraphAnswer } from '../../src/operation-context.ts';

export interface SubgraphSource {
  readonly sdl: string;
  readonly resolvers?: Record<string, any>;
}

/** A request that a subgraph got. */
export interface SeenRequest {
  readonly subgraph: string;
  readonly kind: 'query' | 'mutation';
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Record<string, any>;
}

/** What a subgraph answers in place of its schema; undefined leaves it to the schema. */
export type Answering = (request: SeenRequest) => SubgraphAnswer | FetchFailure | undefined | Promise<SubgraphAnswer | FetchFailure>;

export interface FederationInMemory {
  readonly supergraph: LoadedSupergraph;
  readonly requests: SeenRequest[];
  compile(query: string): CompiledOperation;
  run(query: string, options?: RunOptions): Promise<ExecutionResult>;
  runEvent(query: string, event: SubgraphAnswer, options?: RunOptions): Promise<ExecutionResult>;
}

export interface RunOptions {
  readonly variables?: Record<string, unknown>;
  readonly answering?: Answering;
  readonly signal?: AbortSignal;
}

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.8", import: ["@key", "@requires", "@provides", "@external", "@shareable", "@inaccessible", "@interfaceObject", "@override", "@context", "@fromContext"])\n';

/** Subgraphs composed into a supergraph, run by graphql-js in this process. */
export function federationInMemory(sources: Record<string, SubgraphSource>): FederationInMemory {
  const services = Object.entries(sources).map(([name, { sdl }]) => ({ name, url: `http://${name}.test`, typeDefs: parse(LINK + sdl) }));
  const { supergraphSdl, errors } = composeServices(services);
  if (supergraphSdl === undefined) throw new Error(errors?.map(({ message }) => message).join('\n'));
  const supergraph = loadSupergraph(supergraphSdl);
  const schemas = new Map(
    Object.entries(sources).map(([name, { sdl, resolvers }]) => [name, buildSubgraphSchema({ typeDefs: parse(LINK + sdl), resolvers: resolvers ?? {} })]),
  );
  const requests: SeenRequest[] = [];

  const compile = (query: string) => {
    const document = parse(query);
    const [problem] = validate(supergraph.schema, document);
    if (problem !== undefined) throw problem;
    return compileOperation(supergraph, document, getOperationAST(document)!);
  };
  const execution = (query: string, { variables = {}, answering, signal }: RunOptions) => {
    const { coerced = {}, errors: unfit } = getVariableValues(supergraph.schema, getOperationAST(parse(query))?.variableDefinitions ?? [], variables);
    if (unfit !== undefined) throw unfit[0]!;
    const fetch = async (request: FetchRequest) => {
      const seen = { subgraph: request.subgraph, kind: request.kind, operationName: undefined, ...JSON.parse(request.body) } as SeenRequest;
      requests.push(seen);
      return (await answering?.(seen)) ?? (await answerOf(schemas.get(request.subgraph)!, seen));
    };
    return { variables, coercedVariables: coerced, fetch, signal };
  };
  const asJson = (result: ExecutionResult) => JSON.parse(JSON.stringify(result)) as ExecutionResult;
  return {
    supergraph,
    requests,
    compile,
    run: async (query, options = {}) => asJson(await compile(query).execute(execution(query, options))),
    runEvent: async (query, event, options = {}) => asJson(await compile(query).completeEvent(event, execution(query, options))),
  };
}

export function loadSupergraph(supergraphSdl: string): LoadedSupergraph {
  const supergraph = Supergraph.build(supergraphSdl, { supportedFeatures: null });
  const apiSchema = supergraph.apiSchema();
  const planner = new QueryPlanner(supergraph);
  return { schema: apiSchema.toGraphQLJSSchema(), apiSchema, supergraphSchema: supergraph.schema.toGraphQLJSSchema(), planner };
}

async function answerOf(schema: GraphQLSchema, { query, variables, operationName }: SeenRequest): Promise<SubgraphAnswer> {
  const document = parse(query);
  const problems = validate(schema, document);
  if (problems.length > 0) return { errors: problems.map((problem) => new GraphQLError(problem.message)) };
  return JSON.parse(JSON.stringify(await execute({ schema, document, variableValues: variables, operationName, contextValue: {} }))) as SubgraphAnswer;
}
