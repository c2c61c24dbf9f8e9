import type { CompiledFetch } from './compiled-fetch.ts';
import type { Batch } from './run.ts';
import type { Tree } from './tree.ts';

/** Represents entities, equal ones once; undefined when none can be represented. */
export function entityBatch({ represent, likeness }: CompiledFetch, entities: readonly Tree[], contextMembers = ''): Batch | undefined {
  const objects: Tree[] = [];
  const numbers: number[] = [];
  const representations: string[] = [];
  const firsts: Tree[] = [];
  const known = new Map<unknown, number>();
  for (const entity of entities) {
    const key = likeness === undefined ? represent?.(entity) : likeness.keyOf(entity);
    if (key === undefined) continue;
    let number = known.get(key);
    if (number === undefined || (likeness !== undefined && !likeness.isSame(entity, firsts[number] as Tree))) {
      const representation = likeness === undefined ? (key as string) : represent?.(entity);
      if (representation === undefined) continue;
      number = representations.push(representation) - 1;
      firsts.push(entity);
      known.set(key, number);
    }
    objects.push(entity);
    numbers.push(number);
  }
  return objects.length === 0 ? undefined : { objects, numbers, representations, contextMembers };
}
