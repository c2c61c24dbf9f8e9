import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { breakingChanges, type JsonSchema } from './compatibility.ts';

/** Where the schema of each version is kept as it was published, from the root of the repository. */
export const PUBLISHED = 'contracts/published';

const ENDING = '.schema.json';

/** The name of a version's file there. */
export function schemaFile(dataschema: string): string {
  return `${dataschema}${ENDING}`;
}

/** The published schemas by `dataschema`. @param root of the repository */
export function publishedSchemas(root: string): Map<string, JsonSchema> {
  const folder = join(root, PUBLISHED);
  const files = readdirSync(folder).filter((file) => file.endsWith(ENDING));
  return new Map(files.map((file) => [file.slice(0, -ENDING.length), JSON.parse(readFileSync(join(folder, file), 'utf8')) as JsonSchema]));
}

/**
 * What the catalogue breaks of what was published, with what to do instead; empty when nothing.
 * @param current the catalogue's schemas by `dataschema`
 */
export function brokenContracts(published: ReadonlyMap<string, JsonSchema>, current: ReadonlyMap<string, JsonSchema>): string[] {
  return [...published].flatMap(([dataschema, schema]) => {
    const now = current.get(dataschema);
    if (now === undefined) return [`${dataschema} is published and not in the catalogue any more: streams keep its events for ever, so put it back`];
    return breakingChanges(schema, now).map(
      (change) => `${dataschema}: ${change}. A published version only gets optional fields: undo this and make ${next(dataschema)} (CONTRIBUTING, "A new version of an event")`,
    );
  });
}

function next(dataschema: string): string {
  return dataschema.replace(/\d+$/, (version) => String(Number(version) + 1));
}
