import { composeServices } from '@apollo/composition';
import { Supergraph } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { parse, type GraphQLSchema } from 'graphql';
import type { LoadedSupergraph } from '../../gateway/src/federation.ts';
import { chanceOf } from './chance.ts';
import { drawSubgraphs } from './subgraph-maker.ts';

/** A supergraph that composes, and the schemas of its subgraphs by name. */
export interface DrawnSupergraph {
  readonly loaded: LoadedSupergraph;
  readonly subgraphs: ReadonlyMap<string, GraphQLSchema>;
  readonly sources: readonly { readonly name: string; readonly sdl: string }[];
  /** How many drawn before it did not compose, and why. */
  readonly refused: readonly string[];
}

const ATTEMPTS_MAX = 50;
/** The planner gives up operations with more ways to go, on which it can spend minutes. */
const PATHS_MAX = 100;

/** The same seed draws the same supergraph. */
export function drawSupergraph(seed: number): DrawnSupergraph {
  const refused: string[] = [];
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const sources = drawSubgraphs(chanceOf('supergraph', seed, attempt));
    const composed = composeServices(sources.map(({ name, sdl }) => ({ name, url: `http://${name}`, typeDefs: parse(sdl) })));
    if (composed.errors === undefined) return { ...load(composed.supergraphSdl), sources, refused };
    refused.push(composed.errors[0]?.message ?? '');
  }
  throw new Error(`No supergraph of seed ${seed} composes: ${refused[0]}`);
}

function load(supergraphSdl: string): Pick<DrawnSupergraph, 'loaded' | 'subgraphs'> {
  const supergraph = Supergraph.build(supergraphSdl);
  const planner = new QueryPlanner(supergraph, { debug: { maxEvaluatedPlans: 50, pathsLimit: PATHS_MAX } });
  const apiSchema = supergraph.apiSchema();
  const subgraphs = new Map<string, GraphQLSchema>();
  for (const { name, schema } of supergraph.subgraphs().values()) subgraphs.set(name, schema.toGraphQLJSSchema());
  return { loaded: { schema: apiSchema.toGraphQLJSSchema(), apiSchema, supergraphSchema: supergraph.schema.toGraphQLJSSchema(), planner }, subgraphs };
}
