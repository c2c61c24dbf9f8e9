import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { manifestFrom } from './limits/make-manifest.ts';

const USAGE = `Usage: node gateway/src/make-safelist.ts --out FILE FOLDER...
Writes the operations of all *.graphql and *.gql files below the folders, each with its fragments, as a manifest for SAFELIST_FILE.`;

/** Paths of documents below a folder, in a stable order. */
function documentsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(graphql|gql)$/.test(entry.name) && !`${entry.parentPath}/`.includes('/node_modules/'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function main(): void {
  const { values, positionals } = parseArgs({ options: { out: { type: 'string' }, help: { type: 'boolean' } }, allowPositionals: true });
  if (values.help === true) return void process.stdout.write(`${USAGE}\n`);
  if (values.out === undefined || positionals.length === 0) throw new Error(USAGE);
  const files = [...new Set(positionals.flatMap(documentsBelow))];
  const manifest = manifestFrom(files.map((path) => ({ path, text: readFileSync(path, 'utf8') })));
  if (manifest.operations.length === 0) throw new Error(`There is no operation below ${positionals.join(', ')}: name the folder of the client's *.graphql files`);
  writeFileSync(values.out, `${JSON.stringify(manifest, null, 2)}\n`);
  process.stdout.write(`${manifest.operations.length} operations of ${files.length} files are in ${values.out}\n`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
