import { between, oneOf, type Random } from '../../chaos/random.ts';
import { happens } from './chance.ts';

/** What fields of generated schemas can be of, besides entities; the same in every subgraph that uses it. */
export interface TypePool {
  readonly enums: readonly string[];
  readonly values: readonly ValueType[];
  readonly interfaces: readonly InterfaceType[];
  readonly unions: readonly UnionType[];
}

export interface FieldShape {
  readonly name: string;
  /** With its wrappers. */
  readonly type: string;
  /** Without them. */
  readonly base: string;
  readonly args: string;
}

export interface ValueType {
  readonly name: string;
  readonly fields: readonly FieldShape[];
  readonly implemented: readonly string[];
  readonly inaccessible: boolean;
}

export interface InterfaceType {
  readonly name: string;
  readonly fields: readonly FieldShape[];
}

export interface UnionType {
  readonly name: string;
  readonly members: readonly string[];
}

export const SCALARS = ['String', 'Int', 'Float', 'Boolean', 'ID', 'Json', 'Stamp'] as const;

const WRAPPERS: readonly ((base: string) => string)[] = [
  (base) => base,
  (base) => base,
  (base) => `${base}!`,
  (base) => `[${base}]`,
  (base) => `[${base}!]`,
  (base) => `[${base}]!`,
  (base) => `[${base}!]!`,
  (base) => `[[${base}]]`,
  (base) => `[[${base}!]!]`,
];

/** Names that no other field of the same supergraph has, so that selections of different types can be merged. */
export type FieldNames = () => string;

export function fieldNames(): FieldNames {
  let count = 0;
  return () => {
    count += 1;
    return `f${count}`;
  };
}

export function shapeOf(random: Random, names: FieldNames, bases: readonly string[], enums: readonly string[]): FieldShape {
  const base = oneOf(random, bases);
  return { name: names(), base, type: oneOf(random, WRAPPERS)(base), args: argumentsOf(random, enums) };
}

function argumentsOf(random: Random, enums: readonly string[]): string {
  if (!happens(random, 0.2)) return '';
  const kinds = ['count: Int', 'count: Int = 3', 'text: String!', 'ids: [ID!]', 'filter: Filter', `kind: ${enums[0] ?? 'String'}`, 'json: Json', 'flag: Boolean! = false'];
  const first = oneOf(random, kinds);
  const second = oneOf(random, kinds);
  return first.split(':')[0] === second.split(':')[0] || happens(random, 0.6) ? `(${first})` : `(${first}, ${second})`;
}

/** Draws the types that are no entities; `entities` are those that unions and interfaces may count on. */
export function drawTypePool(random: Random, names: FieldNames, entities: readonly string[]): TypePool {
  const enums = ['Mood', 'Size'].slice(0, between(random, 1, 2));
  const leaves = [...SCALARS, ...enums];
  const interfaces = ['Named', 'Rated'].slice(0, between(random, 0, 2)).map((name) => ({
    name,
    fields: Array.from({ length: between(random, 1, 2) }, () => shapeOf(random, names, leaves, enums)),
  }));
  const values: ValueType[] = [];
  const count = between(random, 1, 3);
  for (let index = 0; index < count; index += 1) {
    const bases = [...leaves, ...values.map(({ name }) => name)];
    values.push({
      name: `Value${index}`,
      fields: Array.from({ length: between(random, 1, 3) }, () => shapeOf(random, names, bases, enums)),
      implemented: interfaces.filter(() => happens(random, 0.4)).map(({ name }) => name),
      inaccessible: false,
    });
  }
  if (happens(random, 0.4)) {
    const implemented = interfaces.slice(0, 1).map(({ name }) => name);
    values.push({ name: 'Hidden', fields: [shapeOf(random, names, leaves, enums)], implemented, inaccessible: true });
  }
  const members = [...entities, ...values.map(({ name }) => name)];
  const unions = ['Any', 'Some'].slice(0, between(random, 0, 2)).map((name) => ({ name, members: members.filter(() => happens(random, 0.6)) }));
  return { enums, values, interfaces, unions: unions.filter((union) => union.members.some((member) => member !== 'Hidden')) };
}
