import {
  BREAK,
  Kind,
  OperationTypeNode,
  visit,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type NameNode,
  type OperationDefinitionNode,
  type VariableNode,
} from 'graphql';

/**
 * The operation that is planned and executed with the fragments of its document, and how its names differ from the client's.
 * Some names are legal for a client and would be taken for something else on the way; they travel under other ones:
 * - response names that every JavaScript object has as a member (`constructor`, `__proto__`);
 * - `__typename`, or the name of a field that entities are found by, as the alias of another field;
 * - fields with arguments that subgraphs require with arguments of their own;
 * - a variable `representations`, which fetches of entities have.
 */
export interface SafeDocument {
  /** What is planned: in place of introspection fields, which no subgraph answers, it has `__typename`. */
  readonly planned: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Whether any response name differs. */
  readonly renamed: boolean;
  /** The client's response name for one of the document's. */
  responseName(safe: string): string;
  /** The client's variable for one of the document's. */
  variableName(safe: string): string;
}

interface OddNames {
  readonly isOddField: (field: FieldNode) => boolean;
  readonly isOddVariable: (variable: VariableNode) => boolean;
}

/** Of fetches of entities, also of several that are joined. */
const RESERVED_VARIABLE = /^representations\d*$/;

/** Names of fields that subgraphs ask for by themselves. */
export interface RequiredNames {
  /** In keys and `@requires`. */
  readonly fields: ReadonlySet<string>;
  readonly fieldsWithArguments: ReadonlySet<string>;
  /** In keys alone. */
  readonly keyFields: ReadonlySet<string>;
}

/** @param document holds `operation`; both are valid under the schema that clients see. */
export function safeDocument(document: DocumentNode, operation: OperationDefinitionNode, required: RequiredNames): SafeDocument {
  const fragments = document.definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  const whole: DocumentNode = { kind: Kind.DOCUMENT, definitions: [operation, ...fragments] };
  const originals = new Map<string, string>();
  const odd: OddNames = {
    isOddField: (field) => isOddField(field, required),
    // What is subscribed to gets the client's variables by the client's names.
    isOddVariable: ({ name }) => RESERVED_VARIABLE.test(name.value) && operation.operation !== OperationTypeNode.SUBSCRIPTION,
  };
  const safe = isSafe(whole, odd) ? whole : renamedDocument(whole, odd, originals);
  const [safeOperation, ...safeFragments] = safe.definitions as [OperationDefinitionNode, ...FragmentDefinitionNode[]];
  return {
    planned: withoutIntrospection(safe),
    operation: safeOperation,
    fragments: new Map(safeFragments.map((fragment) => [fragment.name.value, fragment])),
    renamed: safe !== whole,
    responseName: (name) => originals.get(name) ?? name,
    variableName: (name) => originals.get(name) ?? name,
  };
}

function withoutIntrospection(document: DocumentNode): DocumentNode {
  const typename: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
  return visit(document, { Field: (field) => (isIntrospection(field) ? typename : undefined) });
}

function isSafe(document: DocumentNode, odd: OddNames): boolean {
  let safe = true;
  const found = () => {
    safe = false;
    return BREAK;
  };
  visit(document, {
    Variable: (variable) => (odd.isOddVariable(variable) ? found() : undefined),
    Field: (field) => {
      if (isIntrospection(field)) return false;
      return odd.isOddField(field) ? found() : undefined;
    },
    FragmentDefinition: (fragment) => (describesSchema(fragment) ? false : undefined),
  });
  return safe;
}

/** Enters each new name with the client's into `originals`. */
function renamedDocument(document: DocumentNode, odd: OddNames, originals: Map<string, string>): DocumentNode {
  const taken = new Set<string>();
  visit(document, { Name: ({ value }) => void taken.add(value) });
  const safeNames = new Map<string, string>();
  const safeName = (original: string): NameNode => {
    let name = safeNames.get(original);
    for (let attempt = 0; name === undefined; attempt++) {
      const candidate = `safe${attempt}_${original}`;
      if (!taken.has(candidate)) name = candidate;
    }
    safeNames.set(original, name);
    originals.set(name, original);
    return { kind: Kind.NAME, value: name };
  };
  return visit(document, {
    Variable: { leave: (variable) => (odd.isOddVariable(variable) ? { ...variable, name: safeName(variable.name.value) } : undefined) },
    Field: {
      enter: (field) => (isIntrospection(field) ? false : undefined),
      leave: (field) => (odd.isOddField(field) ? { ...field, alias: safeName(responseNameOf(field)) } : undefined),
    },
    FragmentDefinition: { enter: (fragment) => (describesSchema(fragment) ? false : undefined) },
  });
}

/** The name of a field in an answer. */
export function responseNameOf(field: FieldNode): string {
  return (field.alias ?? field.name).value;
}

/** Whether a field asks for the schema itself; such fields are answered without any subgraph. */
export function isIntrospection(field: FieldNode): boolean {
  return field.name.value === '__schema' || field.name.value === '__type';
}

function isOddField(field: FieldNode, { fields, fieldsWithArguments }: RequiredNames): boolean {
  const name = responseNameOf(field);
  if (name in Object.prototype) return true;
  if (name !== field.name.value) return name === '__typename' || fields.has(name);
  return fieldsWithArguments.has(name) && (field.arguments ?? []).length > 0;
}

function describesSchema(fragment: FragmentDefinitionNode): boolean {
  return fragment.typeCondition.name.value.startsWith('__');
}
