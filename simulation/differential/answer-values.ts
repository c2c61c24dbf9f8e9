import type { GraphQLEnumType } from 'graphql';
import { between, oneOf, type Random } from '../../chaos/random.ts';
import type { FieldFault } from './faults.ts';

const ENTITIES = 5;
/** What identifies an entity in whichever key: `e` and a number. */
const ENTITY = /^e(\d+)$/;

export function drawEntity(random: Random): string {
  return `e${between(random, 0, ENTITIES - 1)}`;
}

/** The value of a key's field for an entity, undefined for other fields and objects. */
export function keyValue(identity: string, field: string): string | number | undefined {
  const number = ENTITY.exec(identity)?.[1];
  if (number === undefined) return undefined;
  if (field === 'id') return identity;
  if (field === 'k1') return `k${number}`;
  return field === 'k2' || field === 'code' ? Number(number) : undefined;
}

/** The entity that a representation means by whichever key it gives, undefined if none can be read. */
export function entityOf(representation: Readonly<Record<string, unknown>>): string | undefined {
  const { id, k1, k2, code, ref } = representation as { id?: unknown; k1?: unknown; k2?: unknown; code?: unknown; ref?: { id?: unknown } | null };
  for (const candidate of [id, ref?.id]) {
    if (typeof candidate === 'string' && ENTITY.test(candidate)) return candidate;
  }
  if (typeof k1 === 'string' && /^k\d+$/.test(k1)) return `e${k1.slice(1)}`;
  const number = [k2, code].find((candidate): candidate is number => Number.isInteger(candidate));
  return number === undefined ? undefined : `e${number}`;
}

export function scalarValue(random: Random, name: string): unknown {
  switch (name) {
    case 'Int':
      return between(random, -1_000, 1_000);
    case 'Float':
      return oneOf(random, [0, 1, 2.5, -0.125, 1e21]);
    case 'Boolean':
      return random() < 0.5;
    case 'Json':
      return oneOf<() => unknown>(random, [() => 'free', () => 7, () => false, () => ({ a: [1, { b: null }] }), () => [1, 'two', [null]], () => ({})])();
    case 'Stamp':
      return `2026-11-${between(random, 10, 28)}`;
    default:
      return oneOf(random, ['one', 'two ☃', '', 'a "quoted" text', `t${between(random, 0, 99)}`]);
  }
}

/** A value of an enum, one that clients know unless the answers are hostile. */
export function enumValue(random: Random, type: GraphQLEnumType, known: ReadonlySet<string>): string {
  const names = type.getValues().map(({ name }) => name);
  const visible = names.filter((name) => known.has(name));
  return oneOf(random, visible.length > 0 ? visible : names);
}

/** What a fault puts in a value's place. */
export function faultyValue(fault: FieldFault, random: Random): unknown {
  switch (fault) {
    case 'string':
      return oneOf(random, ['text', '12', '', 'true']);
    case 'number':
      return oneOf(random, [3, -1, 0, 2 ** 31, 2 ** 53]);
    case 'fraction':
      return 1.5;
    case 'boolean':
      return random() < 0.5;
    case 'object':
      return { odd: 1 };
    case 'list':
      return oneOf<() => unknown>(random, [() => [], () => [1], () => ['text', null], () => [{ odd: 1 }], () => [[]]])();
    case 'unknown enum value':
      return oneOf(random, ['NOWHERE', 'SECRET', 'toString']);
    case 'null':
    case 'null with an error':
    case 'value with an error':
    case 'missing':
      break;
  }
  return null;
}
