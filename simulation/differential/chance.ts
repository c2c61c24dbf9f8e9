import { randomFrom, type Random } from '../../chaos/random.ts';

/** A 32-bit FNV-1a hash: the same text is the same number in every run. */
export function hashOf(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
  return hash >>> 0;
}

/** Chance that depends on nothing but what it is about: asked again about the same, it says the same. */
export function chanceOf(...about: readonly (string | number)[]): Random {
  return randomFrom(hashOf(about.join('\u0000')));
}

/** True once in `1 / probability` times. */
export function happens(random: Random, probability: number): boolean {
  return random() < probability;
}
