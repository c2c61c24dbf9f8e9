import type { InterfaceType, TypePool, UnionType, ValueType } from './type-pool.ts';

/** One subgraph while it is drawn: what its types are said to be, and their fields by name. */
export interface SubgraphDraft {
  readonly name: string;
  readonly types: Map<string, { head: string; readonly fields: Map<string, string> }>;
}

const FEDERATION_IMPORTS = '["@key", "@shareable", "@external", "@requires", "@provides", "@override", "@inaccessible", "@interfaceObject"]';
const MOOD_VALUES: Readonly<Record<string, string>> = { Mood: 'GLAD SAD SECRET @inaccessible CALM', Size: 'SMALL LARGE' };

export function draftOf(name: string): SubgraphDraft {
  return { name, types: new Map() };
}

export function declare(draft: SubgraphDraft, name: string, head: string): void {
  const known = draft.types.get(name);
  if (known === undefined) draft.types.set(name, { head, fields: new Map() });
  else known.head = head;
}

/** Says that a type has a field, unless the subgraph knows one of that name already. */
export function addField(draft: SubgraphDraft, type: string, name: string, rest: string): void {
  const fields = draft.types.get(type)?.fields;
  if (fields !== undefined && !fields.has(name)) fields.set(name, `${name}${rest}`);
}

/** Makes sure that the subgraph knows a type, and what its fields are of. */
export function ensureType(draft: SubgraphDraft, pool: TypePool, name: string): void {
  if (draft.types.has(name)) return;
  const value = pool.values.find((candidate) => candidate.name === name);
  const abstraction = pool.interfaces.find((candidate) => candidate.name === name);
  if (value !== undefined) ensureValue(draft, pool, value);
  else if (abstraction !== undefined) ensureInterface(draft, pool, abstraction);
  else if (/^(Entity|Medium)/.test(name)) {
    declare(draft, name, `type ${name} @key(fields: "id", resolvable: false)`);
    addField(draft, name, 'id', ': ID!');
  }
}

function ensureValue(draft: SubgraphDraft, pool: TypePool, { name, fields, implemented, inaccessible }: ValueType): void {
  const interfaces = implemented.length > 0 ? ` implements ${implemented.join(' & ')}` : '';
  declare(draft, name, `type ${name}${interfaces} @shareable${inaccessible ? ' @inaccessible' : ''}`);
  for (const field of fields) {
    addField(draft, name, field.name, `${field.args}: ${field.type}`);
    ensureType(draft, pool, field.base);
  }
  addInterfaceFields(draft, pool, name, implemented);
}

function ensureInterface(draft: SubgraphDraft, pool: TypePool, { name, fields }: InterfaceType): void {
  declare(draft, name, `interface ${name}`);
  for (const field of fields) {
    addField(draft, name, field.name, `${field.args}: ${field.type}`);
    ensureType(draft, pool, field.base);
  }
}

/** Gives a type the fields of interfaces that it implements. */
export function addInterfaceFields(draft: SubgraphDraft, pool: TypePool, type: string, implemented: readonly string[]): void {
  for (const name of implemented) {
    ensureType(draft, pool, name);
    const fields = pool.interfaces.find((candidate) => candidate.name === name)?.fields ?? [];
    for (const field of fields) addField(draft, type, field.name, `${field.args}: ${field.type} @shareable`);
  }
}

/** The union's members that a subgraph knows. */
export function membersIn(draft: SubgraphDraft, { members }: UnionType): string[] {
  return members.filter((member) => draft.types.has(member));
}

export function printSubgraph(draft: SubgraphDraft, pool: TypePool): string {
  const types = [...draft.types.values()].map(({ head, fields }) => `${head} {\n${[...fields.values()].map((field) => `  ${field}`).join('\n')}\n}`);
  const unions = pool.unions.flatMap((union) => {
    const members = membersIn(draft, union);
    return members.length === 0 ? [] : [`union ${union.name} = ${members.join(' | ')}`];
  });
  const enums = pool.enums.map((name) => `enum ${name} { ${MOOD_VALUES[name]} }`);
  return [
    `extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ${FEDERATION_IMPORTS})`,
    'scalar Json',
    'scalar Stamp',
    `input Filter { text: String limit: Int! = 3 kind: ${pool.enums[0] ?? 'String'} inner: Filter tags: [String!] }`,
    ...enums,
    ...unions,
    ...types,
  ].join('\n\n');
}
