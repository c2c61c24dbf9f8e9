import { beforeAll, describe, expect, test } from '@jest/globals';
import { beakLikeness, isSameBeak, type BeakPrint } from '../src/beak.ts';
import { readBeakPhoto } from '../src/beak-photo.ts';
import { anyChange, beakOf, draw, lookalikeOf, photoOf, seeded, type Beak, type Change } from './beak-pictures.ts';

/** With their copies 350 pictures, and 2,415 pairs of strangers; `npm run bench:beak` takes many more. */
const BEAKS = 70;
const COPIES = 4;
const LOOKALIKES = 40;

const printOf = async (drawing: Uint8Array, change?: Change): Promise<BeakPrint> => readBeakPhoto((await photoOf(drawing, change)).toString('base64'));

interface Prints {
  readonly enrolled: BeakPrint;
  readonly copies: readonly BeakPrint[];
  readonly known: number;
}

/** A beak as it is enrolled, changed copies of the same picture, and how many of these are known again. */
async function printsOf(number: number): Promise<Prints> {
  const random = seeded(900_000 + number);
  const drawing = await draw(beakOf(number));
  const enrolled = await printOf(drawing);
  const copies = await Promise.all(Array.from({ length: COPIES }, () => printOf(drawing, anyChange(random))));
  return { enrolled, copies, known: copies.filter((copy) => isSameBeak(enrolled, copy)).length };
}

/** Two at a time, as many as are decoded at a time. */
async function inPairs<T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      made[number] = await make(number);
    }
  };
  await Promise.all([lane(), lane()]);
  return made;
}

describe(`of ${BEAKS} beaks`, () => {
  const prints: Prints[] = [];
  /** Of every two beaks: how alike one's enrolled photo and a changed copy of the other's are. */
  const strangers: number[] = [];

  // Compared as they come, while the next ones are drawn and decoded. The beak of the lower number is the one enrolled, whichever comes first.
  beforeAll(async () => {
    await inPairs(BEAKS, async (number) => {
      const one = await printsOf(number);
      prints.forEach((other, at) => strangers.push(at < number ? beakLikeness(other.enrolled, one.copies[at % COPIES]!) : beakLikeness(one.enrolled, other.copies[number % COPIES]!)));
      prints[number] = one;
    });
  }, 120_000);

  test('99 in 100 photos are known again, cropped, resized, recompressed, brightened or darkened in any mixture', () => {
    const known = prints.reduce((sum, one) => sum + one.known, 0);
    expect(known / (BEAKS * COPIES)).toBeGreaterThanOrEqual(0.99);
  });

  test('not one is taken for another, and none comes near', () => {
    expect(strangers).toHaveLength((BEAKS * (BEAKS - 1)) / 2);
    expect(Math.max(...strangers)).toBeLessThan(0.75);
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
