import type { FetchDataKeyRenamer, FetchDataRewrite, FetchNode } from '@apollo/query-planner';
import { gatherSource, type FlattenStep } from './flatten-path.ts';
import { createConstants, evaluate, type Constants } from './generated-code.ts';
import { broughtNames, type BroughtNames } from './brought-names.ts';
import { likenessSource, representSource, type Likeness, type Represent } from './representations.ts';
import type { IsOfType } from './rewrites.ts';
import type { SafeDocument } from './safe-document.ts';
import type { Tree } from './tree.ts';

/** One fetch of a plan with everything about it that doesn't depend on a request. */
export interface CompiledFetch {
  /** In its plan. */
  readonly number: number;
  readonly subgraph: string;
  readonly kind: 'query' | 'mutation';
  readonly document: string;
  readonly operationName: string | undefined;
  /** The request's JSON up to the variables. */
  readonly bodyStart: string;
  readonly variables: readonly FetchVariable[];
  /** From the root of the tree to the objects that it completes. */
  readonly steps: readonly FlattenStep[];
  /** Those objects. */
  readonly gather: (root: Tree) => Tree[];
  /** For fetches of entities. */
  readonly represent: Represent | undefined;
  readonly likeness: Likeness | undefined;
  readonly outputRewrites: readonly FetchDataRewrite[];
  /** Response names that the fetch has in place of the document's. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly contextRewrites: readonly FetchDataKeyRenamer[];
  /** What it brings to an object; made when first asked for. */
  readonly brings: BroughtNames;
}

type Generated = 'gather' | 'represent' | 'likeness';

export interface FetchVariable {
  /** The client's. */
  readonly name: string;
  /** `"name":` with the name that the subgraph's document has. */
  readonly key: string;
}

export interface FetchParts {
  readonly safe: SafeDocument;
  readonly isOfType: IsOfType;
  readonly namesOfType: (condition: string) => readonly string[];
  /** Names of fields that keys have. */
  readonly keyFields: ReadonlySet<string>;
}

/** The plan's fetches, whose generated functions are made all at once. */
export interface FetchCompiler {
  add(node: FetchNode, steps: readonly FlattenStep[]): CompiledFetch;
  /** To be called once, after the last `add`; fetches can be used from then on. @returns all of them. */
  finish(): readonly CompiledFetch[];
}

export function createFetchCompiler(parts: FetchParts): FetchCompiler {
  const constants = createConstants();
  const sources: string[] = [];
  const fetches: CompiledFetch[] = [];
  return {
    add: (node, steps) => {
      const number = fetches.length;
      sources.push(`gather: function ${gatherSource(steps, constants)},\n${representMembers(node, parts, constants)}`);
      const fetch = { ...constantParts(node, parts), number, steps, gather: notReady, represent: undefined, likeness: undefined };
      fetches[number] = fetch;
      return fetch;
    },
    finish: () => {
      const source = `return [${sources.map((members) => `{\n${members}\n}`).join(',\n')}];`;
      const functions = evaluate(source, constants) as Pick<CompiledFetch, Generated>[];
      for (const [number, members] of functions.entries()) Object.assign(fetches[number] ?? {}, members);
      return fetches;
    },
  };
}

function representMembers({ requires, inputRewrites = [] }: FetchNode, parts: FetchParts, constants: Constants): string {
  if (requires === undefined) return 'represent: undefined, likeness: undefined';
  const all = { ...parts, requires, inputRewrites };
  return `represent: function ${representSource(all, constants)},\nlikeness: ${likenessSource(all)}`;
}

function constantParts(node: FetchNode, { safe }: FetchParts): Omit<CompiledFetch, 'number' | 'steps' | Generated> {
  const { operation: document, operationName, outputRewrites = [], contextRewrites = [] } = node;
  const contextual = new Set(contextRewrites.map(({ renameKeyTo }) => renameKeyTo));
  const variables = (node.variableUsages ?? []).filter((name) => !contextual.has(name));
  return {
    subgraph: node.serviceName,
    kind: node.operationKind === 'mutation' ? 'mutation' : 'query',
    document,
    operationName,
    bodyStart: bodyStart(document, operationName),
    variables: variables.map((name) => ({ name: safe.variableName(name), key: `${JSON.stringify(name)}:` })),
    outputRewrites,
    aliases: new Map(outputRewrites.flatMap((rewrite) => (rewrite.kind === 'KeyRenamer' ? [[rewrite.path.at(-1) ?? '', rewrite.renameKeyTo]] : []))),
    contextRewrites,
    brings: broughtNames(document),
  };
}

/** The JSON of a GraphQL request up to the value of its variables. */
export function bodyStart(document: string, operationName: string | undefined): string {
  const name = operationName === undefined ? '' : `"operationName":${JSON.stringify(operationName)},`;
  return `{"query":${JSON.stringify(document)},${name}"variables":`;
}

/** Members of the JSON of a fetch's variables, those of the operation that it uses; empty when none of them is given. */
export function variableMembers(fetch: Pick<CompiledFetch, 'variables'>, variables: Readonly<Record<string, unknown>>): string {
  let members = '';
  for (const { name, key } of fetch.variables) {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value !== undefined) members += `${members === '' ? '' : ','}${key}${JSON.stringify(value)}`;
  }
  return members;
}

function notReady(): never {
  throw new Error('The fetch is used before its compiler finished');
}
