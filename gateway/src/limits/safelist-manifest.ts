import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Kind, parse, print, visit, type DocumentNode } from 'graphql';

/** Operations that may run. */
export interface SafelistManifest {
  readonly byId: ReadonlyMap<string, string>;
  /** Of the same documents, whatever their formatting. */
  readonly fingerprints: ReadonlySet<string>;
}

/** The format that Apollo's tools write: https://www.apollographql.com/docs/graphos/platform/security/persisted-queries */
export const APOLLO_FORMAT = 'apollo-persisted-query-manifest';
export const EMPTY_MANIFEST: SafelistManifest = { byId: new Map(), fingerprints: new Set() };

/**
 * Reads a manifest: Apollo's (`{"format", "version": 1, "operations": [{"id", "body", …}]}`), or an object of documents by id.
 * @throws Error that names the file, and the operation that can't be read.
 */
export function readManifest(file: string): SafelistManifest {
  try {
    return manifestOf(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new Error(`The safelist ${file} can't be used: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws Error that says what is wrong with it. */
export function manifestOf(json: unknown): SafelistManifest {
  const byId = new Map<string, string>();
  const fingerprints = new Set<string>();
  for (const [id, body] of entriesOf(json)) {
    if (byId.has(id) && byId.get(id) !== body) throw new Error(`it has two operations with the id ${id}`);
    byId.set(id, body);
    fingerprints.add(fingerprintOfText(id, body));
  }
  return { byId, fingerprints };
}

/**
 * The same for documents that ask for the same: comments, formatting, the order of definitions and `__typename`, which clients
 * add by themselves, make no difference.
 */
export function fingerprintOf(document: DocumentNode): string {
  const withoutTypeNames = visit(document, { Field: ({ name, alias, directives }) => (name.value === '__typename' && alias === undefined && !directives?.length ? null : undefined) });
  return sha256(withoutTypeNames.definitions.map(print).sort().join('\n'));
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function fingerprintOfText(id: string, body: string): string {
  let document: DocumentNode;
  try {
    document = parse(body, { noLocation: true });
  } catch (error) {
    throw new Error(`the operation ${id} is no GraphQL document (${(error as Error).message})`, { cause: error });
  }
  if (!document.definitions.some(({ kind }) => kind === Kind.OPERATION_DEFINITION)) throw new Error(`the document ${id} holds no operation`);
  return fingerprintOf(document);
}

function entriesOf(json: unknown): [id: string, body: string][] {
  if (!isObject(json)) throw new Error('it is no JSON object');
  if (json['format'] === undefined && json['operations'] === undefined) {
    return Object.entries(json).map(([id, body]) => [id, textOf(body, `the document of ${id}`)]);
  }
  if (json['format'] !== APOLLO_FORMAT || json['version'] !== 1) throw new Error(`it has the format ${String(json['format'])}, version ${String(json['version'])}; known is ${APOLLO_FORMAT}, version 1`);
  if (!Array.isArray(json['operations'])) throw new Error('its operations are no list');
  return json['operations'].map((operation: unknown, index) => {
    if (!isObject(operation)) throw new Error(`operation ${index} is no object`);
    return [textOf(operation['id'], `the id of operation ${index}`), textOf(operation['body'], `the body of operation ${index}`)];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${what} is no text`);
  return value;
}
