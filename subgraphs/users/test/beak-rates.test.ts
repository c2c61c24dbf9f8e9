import { beforeAll, describe, expect, test } from '@jest/globals';
import { beakLikeness, isSameBeak, type BeakPrint } from '../src/beak.ts';
import { readBeakPhoto } from '../src/beak-photo.ts';
import { anyChange, beakOf, draw, lookalikeOf, photoOf, seeded, type Beak, type Change } from './beak-pictures.ts';

const BEAKS = 240;
const COPIES = 6;
const LOOKALIKES = 40;

const printOf = async (drawing: Uint8Array, change?: Change): Promise<BeakPrint> => readBeakPhoto((await photoOf(drawing, change)).toString('base64'));

/** Every beak as it is enrolled, and changed copies of the same picture. */
async function printsOf(number: number): Promise<{ enrolled: BeakPrint; copies: BeakPrint[] }> {
  const random = seeded(900_000 + number);
  const drawing = await draw(beakOf(number));
  const [enrolled, ...copies] = await Promise.all([undefined, ...Array.from({ length: COPIES }, () => anyChange(random))].map((change) => printOf(drawing, change)));
  return { enrolled: enrolled!, copies };
}

/** Two at a time, as many as are decoded at a time. */
async function inPairs<T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  for (let number = 0; number < count; number += 2) made.push(...(await Promise.all([number, number + 1].map(make))));
  return made;
}

describe(`of ${BEAKS} beaks`, () => {
  let prints: { enrolled: BeakPrint; copies: BeakPrint[] }[];

  beforeAll(async () => {
    prints = await inPairs(BEAKS, printsOf);
  });

  test('99 in 100 photos are known again, cropped, resized, recompressed, brightened or darkened in any mixture', () => {
    const accepted = prints.flatMap(({ enrolled, copies }) => copies.filter((copy) => isSameBeak(enrolled, copy)));
    expect(accepted.length / (BEAKS * COPIES)).toBeGreaterThanOrEqual(0.99);
  });

  test('not one is taken for another, and none comes near', () => {
    // Every two beaks: one's enrolled photo and a changed copy of the other's, of each its turn.
    const likenesses = prints.flatMap(({ enrolled }, owner) => prints.slice(0, owner).map(({ copies }) => beakLikeness(enrolled, copies[owner % COPIES]!)));
    expect(likenesses).toHaveLength((BEAKS * (BEAKS - 1)) / 2);
    expect(Math.max(...likenesses)).toBeLessThan(0.75);
  });

  test.each([
    ['a lookalike of quite the same build', 0.1, 0.05],
    ['a lookalike of a similar build', 0.2, 0.01],
  ])('%s is taken for the other in few photos only', async (_what, distance, share) => {
    const accepted = await inPairs(LOOKALIKES, async (number) => {
      const lookalike: Beak = lookalikeOf(beakOf(number), distance);
      return isSameBeak(prints[number]!.enrolled, await printOf(await draw(lookalike)));
    });
    expect(accepted.filter(Boolean).length / LOOKALIKES).toBeLessThanOrEqual(share);
  });
});
