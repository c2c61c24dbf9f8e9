import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KnownFragmentNamesRule, NoUnusedFragmentsRule, parse, specifiedRules, validate, type DocumentNode, type GraphQLSchema } from 'graphql';
import { readManifest } from '../gateway/src/limits/safelist-manifest.ts';

/** A document of a client. */
export interface ClientDocument {
  /** Its file, or its id in a manifest. */
  readonly name: string;
  readonly document: DocumentNode;
}

export interface BrokenDocument {
  readonly name: string;
  readonly errors: readonly string[];
}

/** Files of a folder may use fragments of each other. */
const RULES = specifiedRules.filter((rule) => rule !== KnownFragmentNamesRule && rule !== NoUnusedFragmentsRule);

/**
 * Reads every `.graphql` and `.gql` file of a folder and its folders, or one manifest of persisted operations.
 * @throws Error that names what can't be read
 */
export async function clientDocuments(path: string): Promise<ClientDocument[]> {
  if (!(await stat(path)).isDirectory()) return [...readManifest(path).byId].map(([name, text]) => documentOf(name, text));
  const names = (await readdir(path, { recursive: true })).filter((name) => /\.(?:graphql|gql)$/.test(name)).sort();
  if (names.length === 0) throw new Error(`${path} has no .graphql or .gql file`);
  return Promise.all(names.map(async (name) => documentOf(name, await readFile(join(path, name), 'utf8'))));
}

/** Those that the first schema allows and the second refuses, and why. */
export function brokenDocuments(documents: readonly ClientDocument[], before: GraphQLSchema, after: GraphQLSchema): BrokenDocument[] {
  return documents.flatMap(({ name, document }) => {
    const known = new Set(validate(before, document, RULES).map(({ message }) => message));
    const errors = validate(after, document, RULES).filter(({ message }) => !known.has(message));
    if (errors.length === 0) return [];
    return [{ name, errors: errors.map(({ message, locations }) => (locations?.[0] === undefined ? message : `${locations[0].line}:${locations[0].column}: ${message}`)) }];
  });
}

function documentOf(name: string, text: string): ClientDocument {
  try {
    return { name, document: parse(text) };
  } catch (error) {
    throw new Error(`${name} is no GraphQL document: ${(error as Error).message}`, { cause: error });
  }
}
