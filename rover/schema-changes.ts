import { Supergraph } from '@apollo/federation-internals';
import { CriticalityLevel, diff, type Change } from '@graphql-inspector/core';
import type { GraphQLSchema } from 'graphql';

export interface SchemaChange {
  /** `Type.field.argument` */
  readonly path: string | undefined;
  readonly message: string;
  /** Why it is judged so, where that isn't plain. */
  readonly reason: string | undefined;
}

/** By what they do to clients. */
export interface SchemaChanges {
  /** Requests that were valid are refused, or answers lack what they had. */
  readonly breaking: readonly SchemaChange[];
  /** Requests stay valid; a client that didn't expect it may still misbehave. */
  readonly dangerous: readonly SchemaChange[];
  readonly safe: readonly SchemaChange[];
}

/** What clients see of a supergraph: no `@join__…`, nothing `@inaccessible`. @throws Error when it is none */
export function apiSchemaOf(supergraphSdl: string): GraphQLSchema {
  return Supergraph.build(supergraphSdl, { supportedFeatures: null }).apiSchema().toGraphQLJSSchema();
}

/** What changed between two API schemas, judged by graphql-inspector; each group in the order of its paths. */
export async function schemaChanges(before: GraphQLSchema, after: GraphQLSchema): Promise<SchemaChanges> {
  const changes = withoutRepetitions(await diff(before, after)).sort((a, b) => (a.path ?? '').localeCompare(b.path ?? ''));
  const ofLevel = (level: CriticalityLevel): SchemaChange[] =>
    changes.filter(({ criticality }) => criticality.level === level).map(({ path, message, criticality }) => ({ path, message, reason: criticality.reason }));
  return { breaking: ofLevel(CriticalityLevel.Breaking), dangerous: ofLevel(CriticalityLevel.Dangerous), safe: ofLevel(CriticalityLevel.NonBreaking) };
}

/**
 * Leaves out what another change says already: safe ones inside of what is new as a whole, and the directive of a deprecation, which is
 * told by itself.
 */
function withoutRepetitions(changes: readonly Change[]): Change[] {
  const added = new Set(changes.filter(({ type }) => ADDITIONS.has(String(type))).map(({ path }) => path));
  const told = new Set(changes.filter(({ type }) => !isUsage(type)).map(({ path }) => path));
  return changes.filter(({ type, path = '', criticality }) => {
    if (isUsage(type) && told.has(path.replace(/(@\w+)\..*$/, '$1'))) return false;
    const isSafe = criticality.level === CriticalityLevel.NonBreaking;
    return !isSafe || !(enclosing(path).some((each) => added.has(each)) || (added.has(path) && !ADDITIONS.has(String(type))));
  });
}

const ADDITIONS: ReadonlySet<string> = new Set(['TYPE_ADDED', 'FIELD_ADDED', 'INPUT_FIELD_ADDED', 'DIRECTIVE_ADDED']);

function isUsage(type: unknown): boolean {
  return String(type).startsWith('DIRECTIVE_USAGE_');
}

/** `A` and `A.b` of `A.b.c`. */
function enclosing(path: string): string[] {
  const names = path.split('.');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('.'));
}
