import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify as toYaml } from 'yaml';
import { accessPage } from './access.ts';
import { asyncApi } from './asyncapi.ts';
import { contracts, type Contract } from './catalogue.ts';
import { eventsPage } from './events-page.ts';
import { brokenContracts, PUBLISHED, publishedSchemas, schemaFile } from './published.ts';

const ROOT = join(import.meta.dirname, '..');
const ASYNCAPI_HEAD = '# Made from the catalogue in shared-events/src by `npm run contracts`; not edited by hand. The same for reading: docs/events.md\n';

/**
 * The committed files that the catalogue gives: the schema of each version, the AsyncAPI document, the page of events; and that of rights.
 * @returns texts by path, from the root of the repository
 */
export function generatedFiles(all: readonly Contract[]): Map<string, string> {
  return new Map([
    ...all.map(({ dataschema, schema }) => [`${PUBLISHED}/${schemaFile(dataschema)}`, `${JSON.stringify(schema, null, 2)}\n`] as const),
    // Without anchors, which few readers of YAML know, and without folded lines, whose ends are easily misread.
    ['contracts/asyncapi.yaml', ASYNCAPI_HEAD + toYaml(asyncApi(all), { aliasDuplicateObjects: false, lineWidth: 0 })],
    ['docs/events.md', eventsPage(all)],
    ['docs/access.md', accessPage()],
  ]);
}

/**
 * Writes what is not as the catalogue gives it, or only tells so. Refuses, and writes nothing, when a published version changed.
 * @param root of the repository
 * @returns what to say, and whether all is well
 */
export async function refresh(all: readonly Contract[], root: string, mode: 'WRITE' | 'CHECK'): Promise<{ readonly ok: boolean; readonly words: string }> {
  const broken = brokenContracts(publishedSchemas(root), new Map(all.map(({ dataschema, schema }) => [dataschema, schema])));
  if (broken.length > 0) {
    return { ok: false, words: `The catalogue breaks what was published; nothing was written:\n${broken.map((each) => `  - ${each}`).join('\n')}` };
  }
  const stale: (readonly [path: string, text: string])[] = [];
  for (const [path, text] of generatedFiles(all)) {
    if ((await readFile(join(root, path), 'utf8').catch(() => null)) !== text) stale.push([path, text]);
  }
  if (stale.length === 0) return { ok: true, words: `${PUBLISHED}, contracts/asyncapi.yaml, docs/events.md and docs/access.md are what the catalogue gives.` };
  const paths = stale.map(([path]) => path).join(', ');
  if (mode === 'CHECK') return { ok: false, words: `Not what the catalogue gives: ${paths}. Run \`npm run contracts\` and commit the files.` };
  for (const [path, text] of stale) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return { ok: true, words: `Written: ${paths}. Commit them.` };
}

/** `generate.ts` writes the files, `generate.ts --check` fails when one is not what the catalogue gives. */
async function main(args: readonly string[]): Promise<number> {
  const unknown = args.filter((argument) => argument !== '--check');
  if (unknown.length > 0) {
    console.error(`Unknown argument ${unknown[0]}: write nothing, or --check to compare without writing.`);
    return 2;
  }
  const { ok, words } = await refresh(contracts(), ROOT, args.includes('--check') ? 'CHECK' : 'WRITE');
  (ok ? console.log : console.error)(words);
  return ok ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
