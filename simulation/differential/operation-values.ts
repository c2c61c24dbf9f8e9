import { getNamedType, getNullableType, isEnumType, isInputObjectType, isListType, isNonNullType, type GraphQLInputType } from 'graphql';
import { between, oneOf, type Random } from '../../chaos/random.ts';
import { happens } from './chance.ts';

const DEPTH_MAX = 2;

/** A value of an input type, as JSON; enum values are strings, `literalOf` knows better. */
export function drawValue(random: Random, type: GraphQLInputType, depth = 0): unknown {
  if (!isNonNullType(type) && happens(random, 0.1)) return null;
  const nullable = getNullableType(type);
  if (isListType(nullable)) return Array.from({ length: between(random, 0, 2) }, () => drawValue(random, nullable.ofType, depth + 1));
  if (isEnumType(nullable)) return oneOf(random, nullable.getValues()).name;
  if (isInputObjectType(nullable)) {
    const fields = Object.values(nullable.getFields()).filter((field) => (isNonNullType(field.type) && field.defaultValue === undefined) || (depth < DEPTH_MAX && happens(random, 0.4)));
    return Object.fromEntries(fields.map((field) => [field.name, drawValue(random, field.type, depth + 1)]));
  }
  return drawScalar(random, getNamedType(type).name);
}

function drawScalar(random: Random, name: string): unknown {
  switch (name) {
    case 'Int':
      return between(random, -3, 100);
    case 'Float':
      return between(random, 0, 10) / 4;
    case 'Boolean':
      return happens(random, 0.5);
    case 'Json':
      return oneOf<unknown>(random, [1, 'free', true, [1, 'two', null], { deep: { a: [1.5] } }]);
    default:
      return oneOf(random, ['', 'plain', 'with "quotes"', 'ünïcode ☃', 'line\nbreak', 'back\\slash']);
  }
}

/** The value as it is written in a document. */
export function literalOf(value: unknown, type: GraphQLInputType): string {
  const nullable = getNullableType(type);
  if (value === null) return 'null';
  if (isEnumType(nullable)) return value as string;
  if (isListType(nullable) && Array.isArray(value)) return `[${value.map((item) => literalOf(item, nullable.ofType)).join(', ')}]`;
  if (isInputObjectType(nullable)) {
    const fields = Object.entries(value as Record<string, unknown>).map(([name, member]) => `${name}: ${literalOf(member, nullable.getFields()[name]?.type ?? nullable)}`);
    return `{${fields.join(', ')}}`;
  }
  return untypedLiteral(value);
}

function untypedLiteral(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(untypedLiteral).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).map(([name, member]) => `${name}: ${untypedLiteral(member)}`).join(', ')}}`;
  return JSON.stringify(value);
}
