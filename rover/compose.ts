import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { composeServices } from '@apollo/composition';
import { parse, Source, type DocumentNode, type GraphQLError } from 'graphql';
import { parse as parseYaml } from 'yaml';
import { compositionProblem, syntaxProblem, type SchemaFile } from './composition-problems.ts';

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
  // Composition's errors name places in sources; each is called after its subgraph, as two of them may share a file.
  const files = new Map<string, SchemaFile>();
  for (const entry of entries) {
    const file = resolve(dirname(yamlPath), entry.schemaFile);
    const path = pathToTell(file, entry);
    files.set(entry.name, { subgraph: entry.name, path });
    try {
      services.push({ name: entry.name, url: entry.url, typeDefs: parse(new Source(await readFile(file, 'utf8'), entry.name)) });
    } catch (error) {
      problems.push(schemaFileProblem(entry, path, error));
    }
  }
  if (problems.length > 0) throw new CompositionError(yamlPath, problems);

  const composed = composeServices(services);
  if (composed.errors !== undefined) throw new CompositionError(yamlPath, composed.errors.map((error) => compositionProblem(error, files)));
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

function schemaFileProblem(entry: SubgraphEntry, path: string, error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined) return `subgraph ${entry.name}: ${path} can't be read (${code}): check schema.file`;
  return syntaxProblem({ subgraph: entry.name, path }, error as GraphQLError);
}

/** From where one is, so that a terminal can open it; elsewhere as it is written in the yaml file. */
function pathToTell(file: string, { schemaFile }: SubgraphEntry): string {
  const fromHere = relative(process.cwd(), file);
  return fromHere.startsWith('..') ? schemaFile : fromHere;
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
