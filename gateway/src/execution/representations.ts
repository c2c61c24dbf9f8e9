import type { FetchDataRewrite, QueryPlanFieldNode, QueryPlanSelectionNode } from '@apollo/query-planner';
import { quotedName, readMember, type Constants } from './generated-code.ts';
import { applyRewrites, fragmentType, type IsOfType } from './rewrites.ts';
import { isTree, ownMember, setOwnMember, type Tree } from './tree.ts';

/** The JSON of the representation by which a subgraph finds an entity; undefined when the entity lacks what that needs. */
export type Represent = (entity: Tree) => string | undefined;

/** Finds entities with equal representations without making these. */
export interface Likeness {
  /** Differs for most entities that differ. */
  readonly keyOf: (entity: Tree) => unknown;
  /** Whether two entities have equal representations. */
  readonly isSame: (one: Tree, other: Tree) => boolean;
}

interface RepresentationParts {
  readonly requires: readonly QueryPlanSelectionNode[];
  readonly inputRewrites: readonly FetchDataRewrite[];
  readonly isOfType: IsOfType;
  /** Names that objects which fulfil a type condition may tell as their type. */
  readonly namesOfType: (condition: string) => readonly string[];
  /** Names of fields that keys have. */
  readonly keyFields: ReadonlySet<string>;
}

const TYPENAME = '__typename';

/** Source of a `Represent`, which generates texts directly where selections allow it, and otherwise builds objects first. */
export function representSource(parts: RepresentationParts, constants: Constants): string {
  const cases = simpleCases(parts);
  if (cases === undefined) return `(o) { return ${constants.add((entity: Tree) => builtRepresentation(parts, entity))}(o); }`;
  const json = constants.add(scalarJson);
  const functions: string[] = [];
  const branches = [...Map.groupBy(cases, ({ body }) => body)].map(([, same]) => {
    const { fields, typename } = same[0] as SimpleCase;
    return `${same.map(({ name }) => `case ${quotedName(name)}:`).join(' ')} {\n${textLines(fields, { json, functions, missing: 'undefined', typename })}\n}`;
  });
  return `(o) {\n${functions.join('\n')}\nswitch (o.__typename) {\n${branches.join('\n')}\ndefault: return undefined;\n}\n}`;
}

/** Source of a `Likeness`, or `undefined` where representations are not made of scalars with a key among them. */
export function likenessSource(parts: RepresentationParts): string {
  const cases = simpleCases(parts) ?? [];
  const scalars = [...new Set(cases.flatMap(({ fields }) => fields.map((field) => (field.selections === undefined ? (field.alias ?? field.name) : undefined))))];
  const key = scalars.find((name) => name !== undefined && parts.keyFields.has(name));
  if (key === undefined || cases.some(({ fields }) => fields.length !== scalars.length) || scalars.includes(undefined)) return 'undefined';
  const keyOf = cases.length === 1 ? readMember('o', key) : `o.__typename + " " + ${readMember('o', key)}`;
  const isSame = scalars.map((name) => `${readMember('a', name ?? '')} === ${readMember('b', name ?? '')}`).join(' && ');
  return `{ keyOf: function (o) { return ${keyOf}; }, isSame: function (a, b) { return ${isSame}; } }`;
}

interface SimpleCase {
  readonly name: string;
  readonly fields: readonly QueryPlanFieldNode[];
  /** What the representation tells as its type. */
  readonly typename: string;
  /** The same for cases that can share code. */
  readonly body: string;
}

/** For each type one fragment with nothing but fields; undefined when selections or rewrites want more than that. */
function simpleCases({ requires, inputRewrites, isOfType, namesOfType }: RepresentationParts): SimpleCase[] | undefined {
  if (!inputRewrites.every(isTypenameSetter)) return undefined;
  const cases: SimpleCase[] = [];
  const names = requires.flatMap((selection) => (selection.kind === 'InlineFragment' ? namesOfType(selection.typeCondition ?? '') : []));
  for (const name of new Set(names)) {
    const applying = requires.filter((selection) => selection.kind === 'Field' || isOfType(name, selection.typeCondition ?? name));
    const [fragment] = applying;
    if (fragment === undefined || applying.length > 1 || fragment.kind === 'Field' || !onlyFields(fragment.selections)) return undefined;
    const fields = fragment.selections;
    if (!fields.some((field: QueryPlanFieldNode) => field.name === TYPENAME)) continue;
    const typename = inputRewrites.reduce((current, rewrite) => rewrittenTypename(current, rewrite, isOfType), name);
    cases.push({ name, fields, typename, body: JSON.stringify([typename, fields]) });
  }
  return cases;
}

function rewrittenTypename(typename: string, rewrite: FetchDataRewrite, isOfType: IsOfType): string {
  return rewrite.kind === 'ValueSetter' && isOfType(typename, fragmentType(rewrite.path[0] ?? '') ?? '') ? String(rewrite.setValueTo) : typename;
}

function isTypenameSetter({ kind, path }: FetchDataRewrite): boolean {
  return kind === 'ValueSetter' && path.length === 2 && path[1] === TYPENAME && fragmentType(path[0] ?? '') !== undefined;
}

function onlyFields(selections: readonly QueryPlanSelectionNode[]): selections is readonly QueryPlanFieldNode[] {
  return selections.every((selection) => selection.kind === 'Field' && (selection.selections === undefined || onlyFields(selection.selections)));
}

interface TextParts {
  readonly json: string;
  readonly functions: string[];
  /** What is returned when a field is missing. */
  readonly missing: string;
  /** Told instead of the object's own; only at the top. */
  readonly typename?: string;
}

function textLines(fields: readonly QueryPlanFieldNode[], parts: TextParts): string {
  const lines: string[] = [];
  const members: string[] = [];
  for (const [index, field] of fields.entries()) {
    const name = field.alias ?? field.name;
    const key = `"${members.length === 0 ? '{' : ','}\\"${name}\\":"`;
    if (name === TYPENAME && parts.typename !== undefined) {
      members.push(key, `"\\"${checked(parts.typename)}\\""`);
      continue;
    }
    const variable = `m${index}`;
    lines.push(`const ${variable} = ${readMember('o', name)};`, `if (${variable} === undefined) return ${parts.missing};`);
    members.push(key, field.selections === undefined ? `${parts.json}(${variable})` : `${nestedFunction(field.selections as readonly QueryPlanFieldNode[], parts)}(${variable})`);
  }
  return `${lines.join('\n')}\nreturn ${[...members, '"}"'].join(' + ')};`;
}

function checked(name: string): string {
  return quotedName(name).slice(1, -1);
}

/** A function that gives the JSON of a nested object, of a list of these, or null for what is neither or lacks a field. */
function nestedFunction(fields: readonly QueryPlanFieldNode[], parts: TextParts): string {
  const name = `n${parts.functions.length}`;
  parts.functions.push('');
  const index = parts.functions.length - 1;
  const { json, functions } = parts;
  parts.functions[index] = [
    `function ${name}(o) {`,
    `if (Array.isArray(o)) return "[" + o.map(${name}).join(",") + "]";`,
    'if (typeof o !== "object" || o === null) return "null";',
    textLines(fields, { json, functions, missing: '"null"' }),
    '}',
  ].join('\n');
  return name;
}

/** Strings up to this length are looked through before they are left to JSON. */
const PLAIN_TEXT_MAX = 64;
const NEEDS_ESCAPE = /["\\\p{Cc}\p{Cs}]/u;

function scalarJson(value: unknown): string {
  if (typeof value === 'string' && value.length <= PLAIN_TEXT_MAX && !NEEDS_ESCAPE.test(value)) return `"${value}"`;
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : JSON.stringify(value);
}

function builtRepresentation({ requires, inputRewrites, isOfType }: RepresentationParts, entity: Tree): string | undefined {
  const representation = selected(entity, requires, isOfType);
  if (representation === null || typeof representation[TYPENAME] !== 'string') return undefined;
  applyRewrites(inputRewrites, representation, isOfType);
  return JSON.stringify(representation);
}

/** A copy of what is selected; null when a field is missing. */
function selected(source: Tree, selections: readonly QueryPlanSelectionNode[], isOfType: IsOfType): Tree | null {
  const result: Tree = {};
  for (const selection of selections) {
    if (selection.kind === 'Field') {
      const name = selection.alias ?? selection.name;
      const value = ownMember(source, name);
      if (value === undefined) return null;
      addMember(result, name, selection.selections === undefined ? value : selectedValue(value, selection.selections, isOfType));
    } else {
      const typename = source[TYPENAME];
      const { typeCondition } = selection;
      if (typeCondition !== undefined && (typeof typename !== 'string' || !isOfType(typename, typeCondition))) continue;
      for (const [name, value] of Object.entries(selected(source, selection.selections, isOfType) ?? {})) addMember(result, name, value);
    }
  }
  return result;
}

function selectedValue(value: unknown, selections: readonly QueryPlanSelectionNode[], isOfType: IsOfType): unknown {
  if (Array.isArray(value)) return value.map((element) => selectedValue(element, selections, isOfType));
  return isTree(value) ? selected(value, selections, isOfType) : null;
}

/** Two fragments may select different parts of the same object. */
function addMember(target: Tree, name: string, value: unknown): void {
  const present = ownMember(target, name);
  if (isTree(present) && isTree(value)) for (const [inner, part] of Object.entries(value)) addMember(present, inner, part);
  else if (Array.isArray(present) && Array.isArray(value)) {
    for (const [index, part] of value.entries()) if (isTree(part) && isTree(present[index])) for (const [inner, deep] of Object.entries(part)) addMember(present[index], inner, deep);
  } else setOwnMember(target, name, value);
}
