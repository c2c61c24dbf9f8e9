import { readFileSync } from 'node:fs';
import { parse } from 'graphql';

/** A subgraph as the supergraph names it. */
export interface SubgraphEntry {
  readonly name: string;
  /** The routing URL that was composed in; empty when there was none. */
  readonly url: string;
}

const GRAPH_ENUM = 'join__Graph';
const GRAPH_DIRECTIVE = 'join__graph';

/**
 * The subgraphs that a supergraph was composed of, read from its join directives.
 * @throws Error when the text is no GraphQL or names no subgraph.
 */
export function subgraphsOf(supergraphSdl: string): SubgraphEntry[] {
  const graphs = parse(supergraphSdl, { noLocation: true }).definitions.find(
    (definition) => definition.kind === 'EnumTypeDefinition' && definition.name.value === GRAPH_ENUM,
  );
  const values = graphs?.kind === 'EnumTypeDefinition' ? (graphs.values ?? []) : [];
  const entries = values.map((value) => {
    const named = value.directives?.find((directive) => directive.name.value === GRAPH_DIRECTIVE);
    const argument = (name: string): string => {
      const given = named?.arguments?.find((candidate) => candidate.name.value === name)?.value;
      return given?.kind === 'StringValue' ? given.value : '';
    };
    return { name: argument('name'), url: argument('url') };
  });
  if (entries.length === 0) throw new Error('it names no subgraph: is it the output of composition?');
  return entries;
}

/** The text of the supergraph file. @throws Error with the system's code when it can't be read. */
export function readSupergraphFile(path: string): string {
  return readFileSync(path, 'utf8');
}
