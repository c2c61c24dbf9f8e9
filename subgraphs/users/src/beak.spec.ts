import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { beakLikeness, beakPrintOf, isSameBeak, LIKENESS_MIN, PRINT_BYTES, PRINT_VERSION, SIDE, type BeakPrint } from './beak.ts';

const { imul, max, min, round, sin, sqrt } = Math;
const distance = (dx: number, dy: number): number => sqrt(dx * dx + dy * dy);

/** Numbers from 0 up to 1 that follow from the seed. */
function seeded(seed: number): () => number {
  let state = imul(seed + 1, 0x9e3779b1);
  return () => {
    state = imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Luminance at a place, both from 0 to 1. */
type Scene = (x: number, y: number) => number;

/** Fourteen overlapping discs on a wavy ground: as good as a beak for what is tested here. */
function sceneOf(seed: number): Scene {
  const random = seeded(seed);
  const discs = Array.from({ length: 14 }, () => ({ x: random(), y: random(), radius: 0.06 + 0.16 * random(), tone: 20 + 215 * random() }));
  const ground = 60 + 120 * random();
  return (x, y) => discs.reduce((tone, disc) => {
    const inside = min(1, max(0, (disc.radius - distance(x - disc.x, y - disc.y)) * SIDE + 0.5));
    return tone + (disc.tone - tone) * inside;
  }, ground + 20 * sin(9 * x + 5 * y));
}

interface Shot {
  /** Shares cut off on the left, at the top, right and bottom. */
  readonly crop?: readonly [number, number, number, number];
  readonly tone?: (tone: number) => number;
}

function pixelsOf(scene: Scene, { crop: [left, top, right, bottom] = [0, 0, 0, 0], tone = (value) => value }: Shot = {}): Uint8Array {
  return Uint8Array.from({ length: SIDE * SIDE }, (_, at) => {
    const x = left + ((1 - left - right) * ((at % SIDE) + 0.5)) / SIDE;
    const y = top + ((1 - top - bottom) * (((at - (at % SIDE)) / SIDE) + 0.5)) / SIDE;
    return min(255, max(0, round(tone(scene(x, y)))));
  });
}

const photo = (scene: Scene, shot?: Shot): BeakPrint => beakPrintOf(pixelsOf(scene, shot));
const printOf = (pixel: (x: number, y: number) => number): BeakPrint => Uint8Array.of(PRINT_VERSION, ...Array.from({ length: SIDE * SIDE }, (_, at) => pixel(at % SIDE, (at - (at % SIDE)) / SIDE)));
const beak = sceneOf(1);
const enrolled = photo(beak);
const beaks = Array.from({ length: 60 }, (_, seed) => photo(sceneOf(100 + seed)));
/** A print, pixel by pixel, of what all beaks have in that place. */
const ofAll = (pixel: (tones: readonly number[]) => number): BeakPrint => Uint8Array.of(PRINT_VERSION, ...Array.from({ length: SIDE * SIDE }, (_, at) => pixel(beaks.map((one) => one[at + 1] ?? 0))));

describe('the print of a beak', () => {
  test('is its version and 64 × 64 luminances, 4 KiB and a byte', () => {
    const pixels = pixelsOf(beak);
    expect(enrolled).toHaveLength(PRINT_BYTES);
    expect(enrolled[0]).toBe(PRINT_VERSION);
    expect(enrolled.subarray(1)).toEqual(pixels);
    expect(PRINT_BYTES).toBe(4_097);
  });

  test.each<[string, Scene]>([
    ['one colour', () => 128],
    ['a gradient', (x, y) => 255 * x * y],
    ['a light spot that fades out', (x, y) => 250 - 300 * distance(x - 0.5, y - 0.5) ** 2],
    ['a horizon', (_x, y) => (y > 0.4 ? 60 : 200)],
    ['stripes', (x, y) => 128 + 100 * sin(40 * x + 20 * y)],
    ['the noise of a camera in the dark', (x, y) => 40 + 8 * seeded(x * 7_919 * SIDE + y * 104_729)()],
  ])('is refused of %s, which has nothing to know a beak by', (_what, scene) => {
    expect(() => photo(scene)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', message: expect.stringContaining('photo must show a beak'), details: { field: 'photo' } }));
  });

  test('is made of exactly as many pixels as it has', () => {
    expect(() => beakPrintOf(new Uint8Array(SIDE))).toThrow(RangeError);
  });
});

describe('a photo of the beak enrolled is known again', () => {
  test('when it is the same one, with a likeness of 1', () => {
    expect(beakLikeness(enrolled, enrolled)).toBeCloseTo(1, 2);
  });

  test.each<[string, Shot]>([
    ['brightened by a fifth', { tone: (tone) => 1.2 * tone }],
    ['darkened by a fifth', { tone: (tone) => 0.8 * tone }],
    ['with gamma 0.8', { tone: (tone) => 255 * (tone / 255) ** 0.8 }],
    ['with gamma 1.25', { tone: (tone) => 255 * (tone / 255) ** 1.25 }],
    ['with half the contrast', { tone: (tone) => 60 + tone / 2 }],
    ['cropped by 8 % on every side', { crop: [0.08, 0.08, 0.08, 0.08] }],
    ['cropped by 8 % at two sides', { crop: [0.08, 0, 0, 0.08] }],
    ['moved by 5 %', { crop: [0.05, -0.05, -0.05, 0.05] }],
    ['cropped and brightened', { crop: [0.02, 0.08, 0.06, 0.03], tone: (tone) => 1.2 * 255 * (tone / 255) ** 0.9 }],
  ])('%s, and the other way about', (_what, shot) => {
    for (const scene of [beak, sceneOf(2), sceneOf(3)]) {
      const [before, after] = [photo(scene), photo(scene, shot)];
      expect(beakLikeness(before, after)).toBeGreaterThan(0.9);
      expect(beakLikeness(after, before)).toBeGreaterThan(0.9);
    }
  });

  test('for certain when only its tones differ, even with gamma 0.6 or 1.6', () => {
    for (const gamma of [0.6, 1.6]) {
      for (const scene of [beak, sceneOf(2), sceneOf(3)]) expect(beakLikeness(photo(scene), photo(scene, { tone: (tone) => 255 * (tone / 255) ** gamma }))).toBeGreaterThan(0.99);
    }
  });

  test('when every pixel is off by up to 6 levels', () => {
    const random = seeded(5);
    expect(isSameBeak(enrolled, photo(beak, { tone: (tone) => tone + 12 * random() - 6 }))).toBe(true);
  });
});

describe('a photo is not taken for the beak enrolled', () => {
  test('when it is of another one: 60 of them, every two', () => {
    const likenesses = beaks.flatMap((one) => beaks.filter((other) => other !== one).map((other) => beakLikeness(one, other)));
    expect(Math.max(...likenesses)).toBeLessThan(0.6);
  });

  test.each<[string, Scene]>([
    ['its negative', (x, y) => 255 - beak(x, y)],
    ['its mirror image', (x, y) => beak(1 - x, y)],
    ['it upside down', (x, y) => beak(x, 1 - y)],
    ['a quarter of it', (x, y) => beak(0.2 + x / 2, 0.2 + y / 2)],
    ['it moved by a quarter', (x, y) => beak(x + 0.25, y)],
    ['it with a nostril more', (x, y) => (distance(x - 0.55, y - 0.45) < 0.05 ? 255 - beak(0.55, 0.45) : beak(x, y))],
    ['it with another left half', (x, y) => (x < 0.5 ? sceneOf(2)(x, y) : beak(x, y))],
    ['it and another laid over each other', (x, y) => (beak(x, y) + sceneOf(2)(x, y)) / 2],
  ])('when it is %s', (_what, scene) => {
    expect(beakLikeness(enrolled, photo(scene))).toBeLessThan(LIKENESS_MIN);
  });

  test.each<[string, BeakPrint]>([
    ['all zeros', new Uint8Array(PRINT_BYTES)],
    ['of one colour', printOf(() => 128)],
    ['a chequerboard of pixels', printOf((x, y) => ((x + y) % 2) * 255)],
    ['a chequerboard of squares', printOf((x, y) => (((x >> 3) + (y >> 3)) % 2) * 255)],
    ['dots', printOf((x, y) => (x % 6 < 2 && y % 6 < 2 ? 255 : 0))],
    ['noise', printOf((x, y) => 255 * seeded(x * SIDE + y)())],
    ['the mean of all beaks', ofAll((tones) => tones.reduce((sum, tone) => sum + tone, 0) / tones.length)],
    ['the middle one of all', ofAll((tones) => tones.toSorted((one, other) => one - other)[tones.length / 2] ?? 0)],
    ['the lightest of all beaks', ofAll((tones) => max(...tones))],
    ['some of each', ofAll((tones) => tones[round(SIDE * SIDE * (tones[0] ?? 0)) % tones.length] ?? 0)],
  ])('when a template was made to match: %s', (_what, template) => {
    expect(beaks.filter((one) => isSameBeak(one, template) || isSameBeak(template, one))).toEqual([]);
  });
});

describe('a print that cannot be read matches nothing, not even itself', () => {
  test.each<[string, BeakPrint]>([
    ['of a version to come', Uint8Array.of(PRINT_VERSION + 1, ...enrolled.subarray(1))],
    ['of version 0', Uint8Array.of(0, ...enrolled.subarray(1))],
    ['cut off', enrolled.subarray(0, PRINT_BYTES - 1)],
    ['with a byte too many', Uint8Array.of(...enrolled, 0)],
    ['empty', new Uint8Array()],
    ['without detail', printOf((x) => 4 * x)],
  ])('%s', (_what, print) => {
    for (const [one, other] of [[print, print], [print, enrolled], [enrolled, print]] as const) expect(isSameBeak(one, other)).toBe(false);
  });
});

describe('the likeness of two prints', () => {
  test('is from 0 to 1 and always the same, whatever their bytes are', () => {
    const bytes = fc.uint8Array({ minLength: SIDE * SIDE, maxLength: SIDE * SIDE }).map((pixels) => Uint8Array.of(PRINT_VERSION, ...pixels));
    fc.assert(
      fc.property(bytes, bytes, fc.double({ min: 0, max: 1, noNaN: true }), (one, other, share) => {
        // Mixed, so that every degree of likeness comes up.
        const mixed = other.map((pixel, at) => (at === 0 ? PRINT_VERSION : pixel * share + (one[at] ?? 0) * (1 - share)));
        const likeness = beakLikeness(one, mixed);
        expect(likeness).toBeGreaterThanOrEqual(0);
        expect(likeness).toBeLessThanOrEqual(1);
        expect(beakLikeness(one, mixed)).toBe(likeness);
      }),
      { numRuns: 200 },
    );
  });

  test('changes neither of them, and is the same for the bytes as a database gives them', () => {
    const [before, shown] = [enrolled.slice(), photo(beak, { crop: [0.03, 0.03, 0, 0] })];
    const likeness = beakLikeness(enrolled, shown);
    expect(enrolled).toEqual(before);
    expect(beakLikeness(Buffer.from(enrolled), shown)).toBe(likeness);
  });

  test('is known in less than 3 ms', () => {
    const shown = photo(beak, { crop: [0.03, 0.03, 0, 0] });
    const times = Array.from({ length: 200 }, () => {
      const startedAt = performance.now();
      beakLikeness(enrolled, shown);
      return performance.now() - startedAt;
    });
    // The median of the warm half: other processes may have the machine for a moment.
    expect(times.slice(100).sort((one, other) => one - other)[50]).toBeLessThan(3);
  });
});
