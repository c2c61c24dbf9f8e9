import {
  getNamedType,
  isAbstractType,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  type FieldNode,
  type GraphQLAbstractType,
  type GraphQLInterfaceType,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql';
import { createConstants, evaluate, literalKey, quotedName, readMember, type Constants } from './generated-code.ts';
import { appendSegment, refuseType, refuseValue, settleNull, settleValue, type Position, type Shape } from './outcome.ts';
import { isIntrospection } from './safe-document.ts';
import { selectionSetsOf, type Selections } from './selections.ts';

interface ProjectionParts {
  readonly schema: GraphQLSchema;
  readonly rootType: GraphQLObjectType;
  readonly selectionSet: SelectionSetNode;
  readonly selections: Selections;
  /** The client's response name for one of the tree's. */
  readonly responseName: (safe: string) => string;
}

export interface Projection {
  readonly shape: Shape;
  /** Fields whose answers `shape` finds in `introspected`, in this order. */
  readonly introspections: readonly (readonly FieldNode[])[];
}

/** The state of generating one projection. */
interface Writer extends ProjectionParts {
  readonly constants: Constants;
  readonly functions: string[];
  /** Names of functions by what they shape. */
  readonly known: Map<string, string>;
  readonly fieldNumbers: Map<FieldNode, number>;
  readonly introspections: (readonly FieldNode[])[];
}

/** A field's place in generated code: what it expects, and the fields that select on it. */
interface Place {
  readonly type: GraphQLOutputType;
  readonly coordinate: string;
  readonly fields: readonly FieldNode[];
}

/** Something with fields of its own; an interface stands for an object whose own type no subgraph told. */
type RuntimeType = GraphQLObjectType | GraphQLInterfaceType;

const META_FIELDS = new Map([SchemaMetaFieldDef, TypeMetaFieldDef].map((definition) => [definition.name, definition]));

/** Abstract types with more runtime types are looked up in a map instead of a switch. */
const SWITCH_CASES_MAX = 16;

/**
 * Generates the code that makes an answer of the merged tree: members in the order of the operation, values checked against
 * the schema that clients see, nulls propagated. There is one function for each distinct selection on a type and for each list.
 */
export function compileProjection(parts: ProjectionParts): Projection {
  const writer: Writer = { ...parts, constants: createConstants(), functions: [], known: new Map(), fieldNumbers: new Map(), introspections: [] };
  const root = objectBody(writer, parts.rootType, [parts.selectionSet], quotedName(parts.rootType.name));
  const source = `${helpers(writer)}\n${writer.functions.join('\n')}\nreturn ${root};`;
  return { shape: evaluate(source, writer.constants) as Shape, introspections: writer.introspections };
}

function helpers({ constants }: Writer): string {
  const all = { appendSegment, refuseType, refuseValue, settleNull, settleValue };
  return Object.entries(all).map(([name, helper]) => `const ${name} = ${constants.add(helper)};`).join('\n');
}

/** A function under a name of its own; `write` gives its parameters and body. It is known by `key` before `write` runs. */
function defineFunction(writer: Writer, key: string, write: () => string): string {
  const given = writer.known.get(key);
  if (given !== undefined) return given;
  const name = `f${writer.known.size}`;
  writer.known.set(key, name);
  writer.functions.push(`function ${name}${write()}`);
  return name;
}

/** `(o, c) => object or undefined` for an object that is known to be of `type`; `typename` is the expression of its name. */
function objectBody(writer: Writer, type: RuntimeType, selectionSets: readonly SelectionSetNode[], typename: string | undefined): string {
  const fields = writer.selections.fieldsOf(type, selectionSets);
  const places = [...fields].map(([name, nodes]) => ({ name, ...placeOf(writer, type, nodes) }));
  const key = ['object', typename, ...places.map((place) => `${place.name}:${String(place.type)}:${numbersOf(writer, place.fields)}`)].join('|');
  return defineFunction(writer, key, () => {
    const lines: string[] = [];
    const members: string[] = [];
    for (const [index, place] of places.entries()) {
      const [field] = place.fields as [FieldNode];
      const variable = `v${index}`;
      const member = literalKey(writer.responseName(place.name));
      if (isIntrospection(field)) members.push(`${member}: c.introspected[${writer.introspections.push(place.fields) - 1}]`);
      else if (field.name.value === TypeNameMetaFieldDef.name) {
        // An object whose type nobody told has no name to give.
        if (typename === undefined) lines.push(`return settleNull(c, ${quotedName(place.name)}, ${positionOf(writer, place)});`);
        else members.push(`${member}: ${typename}`);
      } else {
        lines.push(`let ${variable} = ${readMember('o', place.name)};`, ...valueLines(writer, place, variable, quotedName(place.name)));
        members.push(`${member}: ${variable}`);
      }
    }
    return `(o, c) {\n${lines.join('\n')}\nreturn { ${members.join(', ')} };\n}`;
  });
}

function placeOf({ schema }: Writer, type: RuntimeType, fields: readonly FieldNode[]): Place {
  const [{ name }] = fields as [FieldNode];
  const ofQuery = type === schema.getQueryType() ? META_FIELDS.get(name.value) : undefined;
  const definition = type.getFields()[name.value] ?? (name.value === TypeNameMetaFieldDef.name ? TypeNameMetaFieldDef : ofQuery);
  if (definition === undefined) throw new Error(`The schema has no field ${type.name}.${name.value}`);
  return { type: definition.type, coordinate: `${type.name}.${name.value}`, fields };
}

function numbersOf({ fieldNumbers }: Writer, fields: readonly FieldNode[]): string {
  return fields.map((field) => {
    const number = fieldNumbers.get(field) ?? fieldNumbers.size;
    fieldNumbers.set(field, number);
    return number;
  }).join(',');
}

/** Statements that turn the value in `variable` into what the answer gets, or return undefined; `segment` is its key's expression. */
function valueLines(writer: Writer, place: Place, variable: string, segment: string): string[] {
  const position = positionOf(writer, place);
  const isNonNull = isNonNullType(place.type);
  const type = isNonNullType(place.type) ? place.type.ofType : place.type;
  const orReturn = isNonNull ? [`if (${variable} === undefined) return;`] : [];
  if (isLeafType(type)) {
    return [`if (!(${leafTest(writer, type, variable)})) {`, `${variable} = settleValue(c, ${variable}, ${segment}, ${position});`, ...orReturn, '}'];
  }
  const shape = isListType(type) ? listFunction(writer, { ...place, type }) : compositeFunction(writer, { ...place, type });
  return [
    `if (${variable} === null || ${variable} === undefined) {`,
    `${variable} = settleNull(c, ${segment}, ${position});`,
    ...orReturn,
    '} else {',
    'const before = c.count;',
    `${variable} = ${shape}(${variable}, c);`,
    `if (c.count !== before) appendSegment(c, before, ${segment});`,
    isNonNull ? `if (${variable} === undefined) return;` : `if (${variable} === undefined) ${variable} = null;`,
    '}',
  ];
}

function positionOf({ constants, known }: Writer, { type, coordinate }: Place): string {
  const key = `position|${coordinate}|${String(type)}`;
  const given = known.get(key);
  if (given !== undefined) return given;
  const named = isNonNullType(type) ? type.ofType : type;
  const position: Position = { coordinate, typeName: String(named), isNonNull: isNonNullType(type), isId: String(named) === 'ID' };
  const name = constants.add(position);
  known.set(key, name);
  return name;
}

function leafTest({ constants }: Writer, type: GraphQLLeafType, variable: string): string {
  if (isEnumType(type)) return `${constants.add(enumValues(type.getValues()))}.has(${variable})`;
  switch (type.name) {
    case 'String':
    case 'ID':
      return `typeof ${variable} === "string"`;
    case 'Int':
      return `typeof ${variable} === "number" && (${variable} | 0) === ${variable}`;
    case 'Float':
      return `Number.isFinite(${variable})`;
    case 'Boolean':
      return `typeof ${variable} === "boolean"`;
    default:
      // Only who defined a scalar knows its values.
      return `${variable} !== null && ${variable} !== undefined`;
  }
}

const enumValueSets = new WeakMap<readonly { readonly name: string }[], ReadonlySet<string>>();

function enumValues(values: readonly { readonly name: string }[]): ReadonlySet<string> {
  const given = enumValueSets.get(values) ?? new Set(values.map(({ name }) => name));
  enumValueSets.set(values, given);
  return given;
}

/** `(a, c) => list or undefined` for a list type. */
function listFunction(writer: Writer, place: Place): string {
  const key = `list|${String(place.type)}|${place.coordinate}|${numbersOf(writer, place.fields)}`;
  const element = isListType(place.type) ? place.type.ofType : place.type;
  return defineFunction(writer, key, () => [
    '(a, c) {',
    `if (!Array.isArray(a)) return refuseValue(c, ${positionOf(writer, place)});`,
    'const list = [];',
    'for (let i = 0; i < a.length; i++) {',
    'let v = a[i];',
    ...valueLines(writer, { ...place, type: element }, 'v', 'i'),
    'list.push(v);',
    '}',
    'return list;',
    '}',
  ].join('\n'));
}

/** `(o, c) => object or undefined` for whatever is not null and should be of a composite type. */
function compositeFunction(writer: Writer, place: Place): string {
  const type = getNamedType(place.type);
  const key = `composite|${type.name}|${numbersOf(writer, place.fields)}`;
  const refusal = `if (typeof o !== "object" || Array.isArray(o)) return refuseValue(c, ${positionOf(writer, place)});`;
  return defineFunction(writer, key, () => {
    const choice = isAbstractType(type) ? choiceOfType(writer, place, type) : checkedType(writer, place, type as GraphQLObjectType);
    return `(o, c) {\n${refusal}\n${choice}\n}`;
  });
}

function checkedType(writer: Writer, place: Place, type: GraphQLObjectType): string {
  const body = objectBody(writer, type, selectionSetsOf(place.fields), quotedName(type.name));
  // An interface object's subgraph calls the object by the name of the interface.
  const interfaces = writer.constants.add(new Set(type.getInterfaces().map(({ name }) => name)));
  const refused = `if (t !== undefined && t !== ${quotedName(type.name)} && !${interfaces}.has(t)) return refuseType(c, ${positionOf(writer, place)});`;
  return `const t = o.__typename;\n${refused}\nreturn ${body}(o, c);`;
}

function choiceOfType(writer: Writer, place: Place, type: GraphQLAbstractType): string {
  const { schema } = writer;
  const selectionSets = selectionSetsOf(place.fields);
  const bodies = new Map<string, string>();
  for (const { name } of schema.getPossibleTypes(type)) {
    bodies.set(name, objectBody(writer, schema.getType(name) as GraphQLObjectType, selectionSets, 'o.__typename'));
  }
  // Interface objects whose own type nobody was asked for.
  const interfaces = isInterfaceType(type) ? [type, ...schema.getImplementations(type).interfaces] : [];
  for (const named of interfaces) bodies.set(named.name, objectBody(writer, named, selectionSets, undefined));
  const untold = isInterfaceType(type) ? `${bodies.get(type.name)}(o, c)` : `refuseType(c, ${positionOf(writer, place)})`;
  return chosenBody(writer, bodies, { untold, refused: `refuseType(c, ${positionOf(writer, place)})` });
}

function chosenBody({ constants, functions }: Writer, bodies: ReadonlyMap<string, string>, otherwise: { untold: string; refused: string }): string {
  const untold = `if (o.__typename === undefined) return ${otherwise.untold};`;
  if (bodies.size > SWITCH_CASES_MAX) {
    const table = constants.add(new Map<string, unknown>());
    functions.push(...[...bodies].map(([name, body]) => `${table}.set(${quotedName(name)}, ${body});`));
    return `${untold}\nconst body = ${table}.get(o.__typename);\nreturn body === undefined ? ${otherwise.refused} : body(o, c);`;
  }
  const names = Map.groupBy(bodies, ([, body]) => body);
  const cases = [...names].map(([body, entries]) => `${entries.map(([name]) => `case ${quotedName(name)}:`).join(' ')} return ${body}(o, c);`);
  return `${untold}\nswitch (o.__typename) {\n${cases.join('\n')}\ndefault: return ${otherwise.refused};\n}`;
}
