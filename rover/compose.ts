import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { composeServices } from '@apollo/composition';
import { parse, type DocumentNode, type GraphQLError } from 'graphql';
import { parse as parseYaml } from 'yaml';

/** The subgraphs can't be composed; the message tells each problem with its subgraph and what to do. */
export class CompositionError extends Error {
  override readonly name = 'CompositionError';

  constructor(yamlPath: string, problems: readonly string[]) {
    super(
      `${yamlPath} does not compose, ${problems.length} problem(s):\n${problems.map((problem) => `  - ${problem}`).join('\n')}\n` +
        'Mend the schema files it names, then run `npm run compose` again.',
    );
  }
}

interface SubgraphEntry {
  readonly name: string;
  readonly url: string;
  /** As written in the yaml file, relative to it. */
  readonly schemaFile: string;
}

/** The version of composition that is installed; the yaml file names the same one, so that Rover composes alike. */
const FEDERATION_VERSION = '=2.14.4';

/**
 * Composes the subgraphs that a file in Rover's format names (`subgraphs.<name>.routing_url`, `.schema.file`).
 * @returns the supergraph as SDL, ending in a line feed.
 * @throws CompositionError with all problems in one message.
 */
export async function composeSupergraph(yamlPath: string): Promise<string> {
  const entries = subgraphEntries(yamlPath, await readText(yamlPath, yamlPath));
  const problems: string[] = [];
  const services: { name: string; url: string; typeDefs: DocumentNode }[] = [];
  for (const entry of entries) {
    try {
      const sdl = await readFile(resolve(dirname(yamlPath), entry.schemaFile), 'utf8');
      services.push({ name: entry.name, url: entry.url, typeDefs: parse(sdl) });
    } catch (error) {
      problems.push(schemaFileProblem(entry, error));
    }
  }
  if (problems.length > 0) throw new CompositionError(yamlPath, problems);

  const composed = composeServices(services);
  if (composed.errors !== undefined) throw new CompositionError(yamlPath, composed.errors.map(compositionProblem));
  return `${composed.supergraphSdl.trimEnd()}\n`;
}

function subgraphEntries(yamlPath: string, yaml: string): SubgraphEntry[] {
  const { federation_version: version, subgraphs } = (parseYaml(yaml) ?? {}) as Record<string, unknown>;
  const problems: string[] = [];
  if (version !== FEDERATION_VERSION) {
    problems.push(`federation_version is ${String(version)}, the installed composition is ${FEDERATION_VERSION}: write that, or install the other`);
  }
  const named = typeof subgraphs === 'object' && subgraphs !== null ? Object.entries(subgraphs as Record<string, unknown>) : [];
  if (named.length === 0) problems.push('it names no subgraph: list them under `subgraphs:`');
  const entries = named.map(([name, settings]) => {
    const { routing_url: url, schema } = (settings ?? {}) as { routing_url?: unknown; schema?: { file?: unknown } };
    const schemaFile = schema?.file;
    if (typeof url !== 'string') problems.push(`subgraph ${name} has no routing_url: write the URL of its /graphql`);
    if (typeof schemaFile !== 'string') problems.push(`subgraph ${name} has no schema.file: write its path, relative to this file`);
    return { name, url: String(url), schemaFile: String(schemaFile) };
  });
  if (problems.length > 0) throw new CompositionError(yamlPath, problems);
  return entries;
}

async function readText(path: string, yamlPath: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new CompositionError(yamlPath, [`the file can't be read (${errorCode(error)}): check the path`]);
  }
}

function schemaFileProblem(entry: SubgraphEntry, error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined) return `subgraph ${entry.name}: ${entry.schemaFile} can't be read (${code}): check schema.file`;
  const { message, locations } = error as GraphQLError;
  const at = locations?.[0] === undefined ? '' : `:${locations[0].line}:${locations[0].column}`;
  return `subgraph ${entry.name}: ${entry.schemaFile}${at}: ${message}`;
}

/** Composition's own messages name the subgraphs in words or as a prefix `[name]`; its code is what its manual lists. */
function compositionProblem(error: GraphQLError): string {
  const code = error.extensions['code'];
  const message = error.message.replace(/^\[([^\]]+)\] /, 'subgraph $1: ').replaceAll('\n', '\n    ');
  return typeof code === 'string' ? `${message} (${code})` : message;
}

function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}

/** `compose.ts` writes the committed supergraph, `compose.ts --check` fails when it is not what composition gives. */
async function main(args: readonly string[]): Promise<number> {
  const yamlPath = join(import.meta.dirname, 'supergraph.yaml');
  const outputPath = join(import.meta.dirname, 'supergraph.graphql');
  const unknown = args.filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    console.error(`Unknown argument ${unknown[0]}: write nothing, or --check to compare without writing.`);
    return 2;
  }
  try {
    const composed = await composeSupergraph(yamlPath);
    const committed = await readFile(outputPath, 'utf8').catch(() => null);
    if (composed === committed) {
      console.log('rover/supergraph.graphql is what composition gives.');
      return 0;
    }
    if (args.includes('--check')) {
      console.error('rover/supergraph.graphql is not what composition gives: run `npm run compose` and commit the file.');
      return 1;
    }
    await writeFile(outputPath, composed);
    console.log('rover/supergraph.graphql written.');
    return 0;
  } catch (error) {
    if (!(error instanceof CompositionError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
