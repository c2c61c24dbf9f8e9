import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { composeSupergraph } from './compose.ts';
import { brokenDocuments, clientDocuments } from './schema-changes-operations.ts';
import { breaksClients, reportOf } from './schema-changes-report.ts';
import { apiSchemaOf, schemaChanges } from './schema-changes.ts';

const HELP = `npm run schema:check -- [options]
Says what the subgraphs' schemas, as they are now, change for clients of the committed supergraph. Writes nothing.

  --base REF|FILE       what to compare with: a commit, branch or tag, or a supergraph file (default: HEAD; without git, rover/supergraph.graphql)
  --operations PATH     also says which documents of clients break: a folder of .graphql files, or a manifest of persisted operations
  --json                for programs
  --help                this text

Exit codes: 0 no client breaks, 1 some may, 2 it can't be told: wrong options, or schemas that don't compose.
`;

/** The committed supergraph and what it is composed of. */
export interface SupergraphPaths {
  /** The folder that holds `supergraph.yaml` and `supergraph.graphql`. */
  readonly rover: string;
  /** What relative paths on the command line start from. */
  readonly from: string;
}

interface CheckResult {
  readonly exitCode: 0 | 1 | 2;
  readonly words: string;
}

/** Runs the command with these arguments. @returns what to print, and the exit code */
export async function schemaCheck(args: readonly string[], paths: SupergraphPaths): Promise<CheckResult> {
  try {
    const { values } = parseArgs({ args: [...args], options: { base: { type: 'string' }, operations: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } } });
    if (values.help === true) return { exitCode: 0, words: HELP };
    const [base, composed] = await Promise.all([readBase(values.base, paths), composeSupergraph(join(paths.rover, 'supergraph.yaml'))]);
    const [before, after] = [apiSchemaOf(base.sdl), apiSchemaOf(composed)];
    const documents = values.operations === undefined ? undefined : await clientDocuments(resolve(paths.from, values.operations));
    const check = {
      base: base.name,
      ...(await schemaChanges(before, after)),
      brokenDocuments: documents === undefined ? undefined : brokenDocuments(documents, before, after),
    };
    return { exitCode: breaksClients(check) ? 1 : 0, words: values.json === true ? JSON.stringify(check, null, 2) : reportOf(check) };
  } catch (error) {
    return { exitCode: 2, words: `${(error as Error).message}\n\`npm run schema:check -- --help\` tells the options.` };
  }
}

interface Base {
  readonly name: string;
  readonly sdl: string;
}

async function readBase(base: string | undefined, { rover, from }: SupergraphPaths): Promise<Base> {
  const committed = join(rover, 'supergraph.graphql');
  if (base === undefined) {
    const sdl = await fromGit('HEAD', rover).catch(() => undefined);
    return sdl === undefined ? { name: committed, sdl: await readFile(committed, 'utf8') } : { name: 'HEAD', sdl };
  }
  const file = resolve(from, base);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text !== undefined) return { name: file, sdl: text };
  try {
    return { name: base, sdl: await fromGit(base, rover) };
  } catch (error) {
    throw new Error(`--base ${base} is neither a file nor a commit with rover/supergraph.graphql: ${gitsWords(error)}`, { cause: error });
  }
}

/** The supergraph as it was committed. @throws Error without git, in no repository, or where the commit has no such file */
async function fromGit(ref: string, rover: string): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['show', '--end-of-options', `${ref}:./supergraph.graphql`], { cwd: rover, maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}

function gitsWords(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr ?? '').trim() || message;
}

if (import.meta.main) {
  const { exitCode, words } = await schemaCheck(process.argv.slice(2), { rover: import.meta.dirname, from: process.env['INIT_CWD'] ?? process.cwd() });
  (exitCode === 2 ? console.error : console.log)(words.trimEnd());
  process.exitCode = exitCode;
}
