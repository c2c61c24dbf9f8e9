import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { beakLikeness, LIKENESS_MIN, type BeakPrint } from '../subgraphs/users/src/beak.ts';
import { readBeakPhoto } from '../subgraphs/users/src/beak-photo.ts';
import { anyChange, beakOf, draw, lookalikeOf, photoOf, seeded, type Beak, type Change, type Drawing } from '../subgraphs/users/test/beak-pictures.ts';

/**
 * How well sign-in by beak tells beaks apart: of drawn beaks the share of photos that is known again after each kind of change, and the share
 * that is taken for another beak, be it any other or a lookalike; with how likeness is spread. Then what a photo and a comparison cost.
 */
const { values: options } = parseArgs({ options: { beaks: { type: 'string', default: '240' }, mixtures: { type: 'string', default: '6' } } });
const BEAKS = Number(options.beaks);
const MIXTURES = Number(options.mixtures);

const CHANGES: Readonly<Record<string, Change>> = {
  'PNG as it was': {},
  'JPEG 95': { jpeg: 95 },
  'JPEG 40': { jpeg: 40 },
  'half the size, JPEG 75': { scale: 0.5, jpeg: 75 },
  'twice the size, JPEG 75': { scale: 2, jpeg: 75 },
  'cropped by 8 % all round': { crop: [0.08, 0.08, 0.08, 0.08], jpeg: 90 },
  'cropped by 8 % at two sides': { crop: [0.08, 0, 0, 0.08], jpeg: 90 },
  'brightened by 20 %': { brightness: 1.2, jpeg: 90 },
  'darkened by 20 %': { brightness: 0.8, jpeg: 90 },
  'gamma 0.8': { gamma: 0.8, jpeg: 90 },
  'gamma 1.25': { gamma: 1.25, jpeg: 90 },
  'small, dark, cropped, JPEG 40': { crop: [0.08, 0.02, 0.05, 0.08], scale: 0.4, brightness: 0.8, gamma: 1.25, jpeg: 40 },
  'small, light, cropped, JPEG 40': { crop: [0.08, 0.02, 0.05, 0.08], scale: 0.4, brightness: 1.2, gamma: 0.8, jpeg: 40 },
};

const LOOKALIKES: Readonly<Record<string, (beak: Beak) => Beak>> = {
  'lookalike, genes up to 20 % off': (beak) => lookalikeOf(beak, 0.2),
  'lookalike, genes up to 10 % off': (beak) => lookalikeOf(beak, 0.1),
  'lookalike, genes up to 5 % off': (beak) => lookalikeOf(beak, 0.05),
  'the same feathers, genes 20 % off': (beak) => lookalikeOf(beak, 0.2, beak.plumage),
  'the same feathers, genes 10 % off': (beak) => lookalikeOf(beak, 0.1, beak.plumage),
};

const times = { decode: [] as number[], same: [] as number[], other: [] as number[] };

console.log(`${BEAKS} beaks; accepted from a likeness of ${LIKENESS_MIN}`);
console.log(row('', 'accepted', 'least', '1 %', 'median', '99 %', 'most'));
const drawings: Drawing[] = [];
for (let number = 0; number < BEAKS; number++) drawings.push(await draw(beakOf(number)));
const enrolled = await printsOf(() => ({}));
for (const [what, change] of Object.entries(CHANGES)) report(what, comparedWith(await printsOf(() => change)));

const randoms = drawings.map((_, number) => seeded(900_000 + number));
const mixtures: BeakPrint[][] = [];
for (let count = 0; count < MIXTURES; count++) mixtures.push(await printsOf((number) => anyChange(randoms[number] as () => number)));
report(`any mixture (${MIXTURES} a beak)`, mixtures.flatMap(comparedWith));

report('another beak (every two)', enrolled.flatMap((owner, number) => enrolled.flatMap((_, other) => (other === number ? [] : timed('other', () => beakLikeness(owner, mixtures[other % MIXTURES]?.[other] as BeakPrint))))));
for (const [what, lookalike] of Object.entries(LOOKALIKES)) {
  const likenesses: number[] = [];
  for (const [number, owner] of enrolled.entries()) likenesses.push(beakLikeness(owner, await printOf(await draw(lookalike(beakOf(number))), { jpeg: 90 })));
  report(what, likenesses);
}

console.log(row('\nms', 'count', 'least', '1 %', 'median', '99 %', 'most'));
for (const [what, taken] of [['photo to print', times.decode], ['comparison, same beak', times.same], ['comparison, another beak', times.other]] as const) {
  console.log(row(what, String(taken.length), ...spread(taken)));
}

/** A print of every beak, of a photo with this change. */
async function printsOf(changeOf: (number: number) => Change): Promise<BeakPrint[]> {
  const prints: BeakPrint[] = [];
  for (const [number, drawing] of drawings.entries()) prints.push(await printOf(drawing, changeOf(number)));
  return prints;
}

async function printOf(drawing: Drawing, change: Change): Promise<BeakPrint> {
  const base64 = (await photoOf(drawing, change)).toString('base64');
  const startedAt = performance.now();
  const print = await readBeakPhoto(base64);
  times.decode.push(performance.now() - startedAt);
  return print;
}

function comparedWith(shown: readonly BeakPrint[]): number[] {
  return enrolled.map((owner, number) => timed('same', () => beakLikeness(owner, shown[number] as BeakPrint)));
}

function timed<T>(what: 'same' | 'other', run: () => T): T {
  const startedAt = performance.now();
  const result = run();
  times[what].push(performance.now() - startedAt);
  return result;
}

function report(what: string, likenesses: readonly number[]): void {
  const accepted = likenesses.filter((likeness) => likeness >= LIKENESS_MIN).length;
  console.log(row(what, `${((100 * accepted) / likenesses.length).toFixed(2)} %`, ...spread(likenesses)));
}

/** The least, the first percentile, the median, the last percentile and the most. */
function spread(values: readonly number[]): string[] {
  const sorted = values.toSorted((one, other) => one - other);
  return [0, 0.01, 0.5, 0.99, 1].map((share) => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(2));
}

function row(what: string, ...cells: string[]): string {
  return what.padEnd(36) + cells.map((cell) => cell.padStart(10)).join('');
}
