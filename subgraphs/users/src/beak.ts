import { DomainError } from '@ates/service-kit/domain-error';

/**
 * What a beak looks like, as it is kept: PRINT_BYTES bytes. Byte 0 is the version of the layout (1). After it SIDE × SIDE bytes, the
 * luminance (0 black … 255 white, sRGB's curve) of the whole photo squeezed into a square, row by row from the top left.
 */
export type BeakPrint = Uint8Array;

/** Pixels in a row of a print, and rows. */
export const SIDE = 64;
export const PRINT_VERSION = 1;
export const PRINT_BYTES = 1 + SIDE * SIDE;

/**
 * From this likeness on two photos are taken for the same picture. Of the beaks of `test/beak-pictures.ts` 99 in 100 changed copies are above
 * 0.95, and no two beaks drawn apart from each other reach 0.65: `bench/beak.ts` prints the rates.
 */
export const LIKENESS_MIN = 0.88;

/** The least detail that can tell one photo from another, in levels of luminance: noise on a grey wall has up to 1.5, a drawn beak 7 and more. */
const DETAIL_MIN = 2;
/** Correlation at 8 × 8, 16 × 16 and 32 × 32 pixels below which a closer look is spared. Copies have 0.85 or more; of different beaks one pair in thirty gets on. */
const COARSE_MIN = 0.75;
/** The most that a side of one picture may lack of the other: crops of 8 %, and what rounding and fitting add. */
const MARGIN_MAX = 0.1;
/** How finely tones are told apart, steps per level of luminance. */
const TONES_PER_LEVEL = 4;
/** Pixels in a side of the squares that must each be alike; they overlap by half. */
const WINDOW = 16;

// By names of this module: a global that is looked up for every pixel makes a comparison ten times as slow inside a test's context.
const { floor, hypot, max, min, sqrt } = Math, { isNaN: isNone } = Number;

/** A square greyscale picture. */
interface Plane {
  readonly side: number;
  readonly pixels: Float32Array;
}

/** What of the enrolled picture's left, top, right and bottom the shown one lacks, in shares of its width or height; below 0: what it has more. */
type Margins = Float64Array;

/**
 * The print of a photo.
 * @param pixels SIDE × SIDE luminances, row by row
 * @throws DomainError BAD_USER_INPUT (field `photo`) when there is nothing in it to know a beak by: one colour, a gradient, stripes, faint noise
 */
export function beakPrintOf(pixels: Uint8Array): BeakPrint {
  if (pixels.length !== SIDE * SIDE) throw new RangeError(`a beak's picture has ${SIDE} × ${SIDE} pixels, not ${pixels.length}`);
  const print = Uint8Array.of(PRINT_VERSION, ...pixels);
  if (detailOf(halved(planeOf(print))) < DETAIL_MIN) {
    throw new DomainError('BAD_USER_INPUT', 'photo must show a beak, and hardly anything can be seen in this one: take it closer, in focus and in good light', { field: 'photo' });
  }
  return print;
}

/** Whether the photo shown is of the beak enrolled: the same picture, perhaps resized, recompressed, cropped, brightened or darkened a little. */
export function isSameBeak(enrolled: BeakPrint, shown: BeakPrint): boolean {
  return beakLikeness(enrolled, shown) >= LIKENESS_MIN;
}

/**
 * How alike two prints are, from 0 to 1 (the same picture). Takes about 1 ms, and a fifth of that for most pairs of different pictures. A print
 * of another version or size is not like anything (0), and one without detail reaches LIKENESS_MIN with none, itself included.
 *
 * The enrolled picture is laid over the shown one (Lucas and Kanade 1981; coarse to fine, with a gain and an offset of brightness), its tones
 * are brought to the other's, and then the slopes of brightness are compared square by square in the form of structural similarity (Wang,
 * Bovik, Sheikh and Simoncelli 2004). The least alike square decides: a copy is alike everywhere, while a similar beak has its nostril, a
 * stripe or its tip elsewhere. (As any change of tones is made good, the same picture in two tones can pass too.)
 */
export function beakLikeness(enrolled: BeakPrint, shown: BeakPrint): number {
  if ([enrolled, shown].some((print) => print.length !== PRINT_BYTES || print[0] !== PRINT_VERSION)) return 0;
  const margins: Margins = new Float64Array(4);
  const [enrolled32, shown32] = [halved(planeOf(enrolled)), halved(planeOf(shown))];
  const [enrolled16, shown16] = [smoothed(halved(enrolled32)), smoothed(halved(shown32))];
  const coarseToFine = [
    () => align(smoothed(halved(enrolled16)), smoothed(halved(shown16)), margins, 3),
    () => align(enrolled16, shown16, margins, 3),
    () => align(smoothed(enrolled32), smoothed(shown32), margins, 4),
  ];
  for (const aligned of coarseToFine) {
    const correlation = aligned();
    if (correlation < COARSE_MIN) return max(0, correlation) / 2;
  }
  if (detailOf(enrolled32) < DETAIL_MIN || detailOf(shown32) < DETAIL_MIN) return 0;
  const [enrolled64, shown64] = [smoothed(planeOf(enrolled)), smoothed(planeOf(shown))];
  align(enrolled64, shown64, margins, 2);
  return leastLikeness(toned(laidOver(enrolled64, margins), shown64.pixels), shown64.pixels);
}

const planeOf = (print: BeakPrint): Plane => ({ side: SIDE, pixels: new Float32Array(print.subarray(1)) });

/** Half as wide and high; each pixel is the mean of four. */
function halved({ side, pixels }: Plane): Plane {
  const half = side / 2, means = new Float32Array(half * half);
  for (let y = 0, at = 0; y < half; y++) {
    for (let corner = 2 * y * side; at < (y + 1) * half; at++, corner += 2) {
      means[at] = ((pixels[corner] as number) + (pixels[corner + 1] as number) + (pixels[corner + side] as number) + (pixels[corner + side + 1] as number)) / 4;
    }
  }
  return { side: half, pixels: means };
}

/** Weighted with its neighbours 1 : 2 : 1 in both directions, so that brightness changes gradually enough to be interpolated. */
function smoothed({ side, pixels }: Plane): Plane {
  const along = (source: Float32Array, stride: number, line: number): Float32Array => {
    const target = new Float32Array(source.length);
    for (let start = 0; start < side * line; start += line) {
      const end = start + (side - 1) * stride;
      for (let at = start; at <= end; at += stride) {
        target[at] = ((source[at > start ? at - stride : at] as number) + 2 * (source[at] as number) + (source[at < end ? at + stride : at] as number)) / 4;
      }
    }
    return target;
  };
  return { side, pixels: along(along(pixels, 1, side), side, 1) };
}

/**
 * How much fine detail a picture has in the direction that has least of it, in levels of luminance: the root of the smaller eigenvalue of the
 * structure tensor of what smoothing takes away. One colour and gradients have none; nor have stripes and horizons, alike along one direction.
 */
function detailOf(plane: Plane): number {
  const { side } = plane;
  const fine = smoothed(plane).pixels;
  for (let at = 0; at < fine.length; at++) fine[at] = (plane.pixels[at] as number) - (fine[at] as number);
  let xx = 0, xy = 0, yy = 0;
  for (let y = 2; y < side - 2; y++) {
    for (let at = y * side + 2; at < (y + 1) * side - 2; at++) {
      const dx = (fine[at + 1] as number) - (fine[at - 1] as number), dy = (fine[at + side] as number) - (fine[at - side] as number);
      xx += dx * dx;
      xy += dx * dy;
      yy += dy * dy;
    }
  }
  return sqrt(max(0, (xx + yy) / 2 - hypot((xx - yy) / 2, xy))) / (side - 4);
}

/**
 * Moves the margins step by step to where the enrolled picture fits the shown one best; both planes have one size.
 * @returns the correlation of the two over what they share, −1 to 1, as it was before the last step
 */
function align(enrolled: Plane, shown: Plane, margins: Margins, steps: number): number {
  const effects = effectsOf(shown);
  const products = effects.map((one) => effects.map((other) => dot(one, other)));
  let correlation = 0;
  for (let step = 0; step < steps; step++) {
    const fit = fitOf(laidOver(enrolled, margins), shown.pixels);
    correlation = fit.correlation;
    // Of a negative, or of nothing, no step makes a copy.
    if (!(fit.gain > 0)) break;
    const moves = solved(products, effects.map((effect) => dot(effect, fit.rest) / fit.gain));
    for (let side = 0; side < 4; side++) {
      margins[side] = min(MARGIN_MAX, max(-MARGIN_MAX, (margins[side] as number) + (moves[side] as number)));
    }
  }
  return correlation;
}

/** How each pixel changes as a margin (left, top, right, bottom) grows from 0 to the whole width or height. */
function effectsOf({ side, pixels }: Plane): Float32Array[] {
  const left = new Float32Array(pixels.length), top = new Float32Array(pixels.length);
  const right = new Float32Array(pixels.length), bottom = new Float32Array(pixels.length);
  for (let y = 1; y < side - 1; y++) {
    for (let x = 1; x < side - 1; x++) {
      const at = y * side + x;
      const slopeX = ((pixels[at + 1] as number) - (pixels[at - 1] as number)) / 2, slopeY = ((pixels[at + side] as number) - (pixels[at - side] as number)) / 2;
      left[at] = -slopeX * (side - x - 0.5);
      top[at] = -slopeY * (side - y - 0.5);
      right[at] = slopeX * (x + 0.5);
      bottom[at] = slopeY * (y + 0.5);
    }
  }
  return [left, top, right, bottom];
}

function dot(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += (one[at] as number) * (other[at] as number);
  return sum;
}

/** The best gain in: gain × shown + offset = values, the correlation, and what is left of the values then. NaN among them is left out, its rest is 0. */
function fitOf(values: Float32Array, shown: Float32Array): { gain: number; correlation: number; rest: Float32Array } {
  let count = 0, sumV = 0, sumS = 0, sumVV = 0, sumVS = 0, sumSS = 0;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as number, tone = shown[at] as number;
    if (isNone(value)) continue;
    count += 1;
    sumV += value;
    sumS += tone;
    sumVV += value * value;
    sumVS += value * tone;
    sumSS += tone * tone;
  }
  const covariance = sumVS - (sumV * sumS) / count, variance = sumSS - (sumS * sumS) / count;
  const gain = covariance / variance, offset = (sumV - gain * sumS) / count;
  const rest = new Float32Array(values.length);
  for (let at = 0; at < rest.length; at++) rest[at] = isNone(values[at]) ? 0 : (values[at] as number) - offset - gain * (shown[at] as number);
  const correlation = covariance / sqrt(variance * (sumVV - (sumV * sumV) / count));
  return { gain, correlation: isNone(correlation) ? 0 : correlation, rest };
}

/** Solves symmetric equations by elimination (Gauss and Jordan; positive definite ones need no pivoting). */
function solved(equations: readonly (readonly number[])[], sums: readonly number[]): number[] {
  const rows = equations.map((factors, i) => [...factors, sums[i] as number]);
  rows.forEach((pivotRow, i) => {
    const pivot = (pivotRow[i] as number) + 1e-9;
    pivotRow.forEach((entry, j) => (pivotRow[j] = entry / pivot));
    for (const row of rows.filter((other) => other !== pivotRow)) {
      const factor = row[i] as number;
      row.forEach((entry, j) => (row[j] = entry - factor * (pivotRow[j] as number)));
    }
  });
  return rows.map((row) => row.at(-1) as number);
}

/** The enrolled picture where the shown one's pixels are, interpolated; NaN where it ends. */
function laidOver({ side, pixels }: Plane, margins: Margins): Float32Array {
  // Not by destructuring: what comes out of an iterator V8 keeps boxed, and this is the innermost loop.
  const left = margins[0] as number, top = margins[1] as number;
  const width = 1 - left - (margins[2] as number), height = 1 - top - (margins[3] as number);
  const values = new Float32Array(side * side).fill(Number.NaN);
  for (let y = 0; y < side; y++) {
    const exactY = top * side + height * (y + 0.5) - 0.5;
    if (exactY < 0 || exactY >= side - 1) continue;
    const fromY = floor(exactY);
    for (let x = 0; x < side; x++) {
      const exactX = left * side + width * (x + 0.5) - 0.5;
      if (exactX < 0 || exactX >= side - 1) continue;
      const fromX = floor(exactX);
      const corner = fromY * side + fromX;
      const upper = (pixels[corner] as number) + ((pixels[corner + 1] as number) - (pixels[corner] as number)) * (exactX - fromX);
      const lower = (pixels[corner + side] as number) + ((pixels[corner + side + 1] as number) - (pixels[corner + side] as number)) * (exactX - fromX);
      values[y * side + x] = upper + (lower - upper) * (exactY - fromY);
    }
  }
  return values;
}

/**
 * Gives values the tones of others at the same places: the darkest tenth becomes what the darkest tenth there is, and so on (histogram
 * matching). Undoes brightness, gamma and clipped lights alike, since all of these keep the order from dark to light. NaN stays NaN.
 */
function toned(values: Float32Array, wanted: Float32Array): Float32Array {
  const ranks = ranksOf(values), wantedRanks = ranksOf(wanted.filter((_, at) => !isNone(values[at])));
  const curve = new Float32Array(ranks.length);
  for (let at = 1, tone = 0; at < ranks.length; at++) {
    const middle = ((ranks[at - 1] as number) + (ranks[at] as number)) / 2;
    while ((wantedRanks[tone + 1] as number) < middle) tone += 1;
    const below = wantedRanks[tone] as number;
    curve[at - 1] = (tone + (middle - below) / max(1, (wantedRanks[tone + 1] as number) - below)) / TONES_PER_LEVEL;
  }
  return values.map((value) => (isNone(value) ? value : (curve[floor(value * TONES_PER_LEVEL)] as number)));
}

/** At each tone, TONES_PER_LEVEL of them to a level of luminance: how many values are darker. NaN is not counted. */
function ranksOf(values: Float32Array): Uint32Array {
  const ranks = new Uint32Array(256 * TONES_PER_LEVEL + 1);
  for (const next of values.map((value) => floor(value * TONES_PER_LEVEL) + 1)) if (!isNone(next)) ranks[next] = (ranks[next] as number) + 1;
  for (let tone = 1; tone < ranks.length; tone++) ranks[tone] = (ranks[tone] as number) + (ranks[tone - 1] as number);
  return ranks;
}

/** Sums over a square of two pictures: how many pixels have both, and the squares and products of their slopes (rightwards and downwards). */
function slopesOver(one: Float32Array, other: Float32Array, square: { left: number; top: number; side: number }): { count: number; ones: number; both: number; others: number } {
  let count = 0, ones = 0, both = 0, others = 0;
  const right = min(SIDE - 1, square.left + square.side);
  for (let y = max(1, square.top); y < min(SIDE - 1, square.top + square.side); y++) {
    for (let at = y * SIDE + max(1, square.left); at < y * SIDE + right; at++) {
      const oneX = (one[at + 1] as number) - (one[at - 1] as number), oneY = (one[at + SIDE] as number) - (one[at - SIDE] as number);
      if (isNone(oneX + oneY)) continue;
      const otherX = (other[at + 1] as number) - (other[at - 1] as number), otherY = (other[at + SIDE] as number) - (other[at - SIDE] as number);
      count += 1;
      ones += oneX * oneX + oneY * oneY;
      both += oneX * otherX + oneY * otherY;
      others += otherX * otherX + otherY * otherY;
    }
  }
  return { count, ones, both, others };
}

/**
 * The likeness of the least alike square, 0 to 1. The whole picture's mean square of slopes is added to every square's, so that in an even
 * sky no grain is compared with grain.
 */
function leastLikeness(enrolled: Float32Array, shown: Float32Array): number {
  const all = slopesOver(enrolled, shown, { left: 0, top: 0, side: SIDE });
  const gain = sqrt(all.others / all.ones);
  let least = 1;
  for (let top = 0; top + WINDOW <= SIDE; top += WINDOW / 2) {
    for (let left = 0; left + WINDOW <= SIDE; left += WINDOW / 2) {
      const { count, ones, both, others } = slopesOver(enrolled, shown, { left, top, side: WINDOW });
      const usual = (2 * count * all.others) / all.count;
      // At least half of a square has to be in both pictures.
      if (2 * count >= WINDOW * WINDOW) least = min(least, (2 * gain * both + usual) / (gain * gain * ones + others + usual));
    }
  }
  return max(0, least);
}
