import { Kind, parse, print, visit, type DefinitionNode, type FragmentDefinitionNode, type OperationDefinitionNode } from 'graphql';
import { APOLLO_FORMAT, sha256 } from './safelist-manifest.ts';

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Apollo's manifest of persisted queries. */
export interface Manifest {
  readonly format: typeof APOLLO_FORMAT;
  readonly version: 1;
  readonly operations: readonly ManifestOperation[];
}

export interface ManifestOperation {
  /** SHA-256 of the body, in hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** One operation, then its fragments by name. */
  readonly body: string;
}

/**
 * A manifest of all operations of some files, by name; fragments may stand in other files than what spreads them.
 * @throws Error that names the file: no GraphQL, a schema, an operation without a name, two of one name, a fragment that is missing.
 */
export function manifestFrom(files: readonly SourceFile[]): Manifest {
  const operations = new Map<string, OperationDefinitionNode>();
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const { path, text } of files) {
    for (const definition of definitionsOf(path, text)) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) keep(fragments, definition, path);
      else if (definition.kind !== Kind.OPERATION_DEFINITION) throw new Error(`${path}: ${definition.kind} is no operation and no fragment: leave schemas out`);
      else if (definition.name === undefined) throw new Error(`${path}: an operation has no name: give it one`);
      else keep(operations, definition, path);
    }
  }
  const listed = [...operations].map(([name, operation]) => {
    const body = [operation, ...fragmentsOf(name, operation, fragments)].map(print).join('\n\n');
    return { id: sha256(body), name, type: operation.operation, body };
  });
  return { format: APOLLO_FORMAT, version: 1, operations: listed.sort((one, other) => (one.name < other.name ? -1 : 1)) };
}

function definitionsOf(path: string, text: string): readonly DefinitionNode[] {
  // A file may hold nothing but comments.
  if (text.replace(/#.*|[\s,\uFEFF]/g, '') === '') return [];
  try {
    return parse(text, { noLocation: true }).definitions;
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function keep<Node extends OperationDefinitionNode | FragmentDefinitionNode>(known: Map<string, Node>, definition: Node, path: string): void {
  const name = definition.name?.value as string;
  const other = known.get(name);
  if (other !== undefined && print(other) !== print(definition)) throw new Error(`${path}: there is another ${name}: names are given once`);
  known.set(name, definition);
}

/** With the fragments that they spread themselves, by name. */
function fragmentsOf(name: string, operation: OperationDefinitionNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>): FragmentDefinitionNode[] {
  const found = new Map<string, FragmentDefinitionNode>();
  const waiting: (OperationDefinitionNode | FragmentDefinitionNode)[] = [operation];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    visit(next, {
      FragmentSpread: ({ name: { value } }) => {
        if (found.has(value)) return;
        const fragment = fragments.get(value);
        if (fragment === undefined) throw new Error(`${name} spreads the fragment ${value}, which is in none of the files`);
        found.set(value, fragment);
        waiting.push(fragment);
      },
    });
  }
  return [...found.values()].sort((one, other) => (one.name.value < other.name.value ? -1 : 1));
}
