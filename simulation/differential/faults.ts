import { oneOf, type Random } from '../../chaos/random.ts';
import { chanceOf, happens } from './chance.ts';

/** What can be wrong with a field, a list's item or an entity in a subgraph's answer. */
export const FIELD_FAULTS = [
  'null',
  'null with an error',
  'value with an error',
  'missing',
  'string',
  'number',
  'fraction',
  'boolean',
  'object',
  'list',
  'unknown enum value',
] as const;
export type FieldFault = (typeof FIELD_FAULTS)[number];

export const TYPENAME_FAULTS = ['unknown type', 'other type', 'scalar type', 'number as type', 'no type'] as const;
export type TypenameFault = (typeof TYPENAME_FAULTS)[number];

/** What can be wrong with all answers of a subgraph, to fetches of root fields or of entities. */
export const OUTAGES = ['no answer', 'null data', 'null data with an error', 'data left out', 'error beside', 'no entities', 'too few entities', 'too many entities'] as const;
export type Outage = (typeof OUTAGES)[number];

/**
 * `clean`: everything as the subgraph's schema promises. `graceful`: subgraphs fail as the specification asks, with errors,
 * nulls, and nulls that reach a nullable parent. `hostile`: they break their promises.
 */
export type Manner = 'clean' | 'graceful' | 'hostile';

export interface FaultProfile {
  readonly seed: string;
  readonly manner: Manner;
  /** Chance of a fault at each field, and of what kind it is. */
  readonly fieldRate: number;
  readonly fieldFaults: readonly FieldFault[];
  readonly typenameRate: number;
  readonly outageOf: (subgraph: string, entities: boolean) => Outage | undefined;
}

const GRACEFUL: readonly FieldFault[] = ['null with an error', 'null with an error', 'null'];

export function drawProfile(seed: string): FaultProfile {
  const random = chanceOf('profile', seed);
  const drawn = random();
  const manner: Manner = drawn < 0.12 ? 'clean' : drawn < 0.4 ? 'graceful' : 'hostile';
  const outages = happens(random, manner === 'clean' ? 0 : 0.25);
  const kinds: readonly Outage[] = manner === 'hostile' ? OUTAGES : OUTAGES.slice(0, 5);
  return {
    seed,
    manner,
    fieldRate: manner === 'clean' ? 0 : oneOf(random, [0.01, 0.05, 0.05, 0.2]),
    fieldFaults: manner === 'hostile' ? someOf(random, FIELD_FAULTS) : GRACEFUL,
    typenameRate: manner === 'hostile' && happens(random, 0.15) ? 0.15 : 0,
    outageOf: (subgraph, entities) => {
      const chance = chanceOf('outage', seed, subgraph, entities ? 'entities' : 'root');
      if (!outages || !happens(chance, 0.35)) return undefined;
      const kind = oneOf(chance, kinds);
      return !entities && kind.endsWith('entities') ? undefined : kind;
    },
  };
}

function someOf<Item>(random: Random, items: readonly Item[]): Item[] {
  const share = oneOf(random, [0.2, 0.5, 1]);
  const some = items.filter(() => happens(random, share));
  return some.length > 0 ? some : [oneOf(random, items)];
}
