import sharp from 'sharp';

// By names of this module: a global that is looked up for every pixel is slow inside a test's context.
const { imul, max, min, round } = Math;

/** Width and height of a drawing, in pixels. */
export const PICTURE = { width: 200, height: 150 } as const;

/** What a beak is drawn from: every gene is a number from 0 to 1; `plumage` is the seed of feathers, blotches behind and the camera's noise. */
export interface Beak {
  readonly genes: readonly number[];
  readonly plumage: number;
}

/** Three bytes a pixel (red, green, blue), row by row, PICTURE in size. */
export type Drawing = Uint8Array;

/** What happens to a photo on its way from enrolment to the next sign-in. */
export interface Change {
  /** Shares of the width or height that are cut off: left, top, right, bottom. */
  readonly crop?: readonly [number, number, number, number];
  /** 1: as large as before (what is left of it); never below 64 pixels. */
  readonly scale?: number;
  /** Factor on every channel, clipped at white. */
  readonly brightness?: number;
  /** Exponent; below 1 lightens. */
  readonly gamma?: number;
  /** JPEG at this quality, else PNG. */
  readonly jpeg?: number;
}

const GENES = 45;

/** Numbers from 0 up to 1, always the same for a seed (mulberry32 by Tommy Ettinger, in the public domain: a counter, mixed). */
export function seeded(seed: number): () => number {
  let counter = imul(seed + 1, 0x9e3779b1);
  return () => {
    counter = (counter + 0x6d2b79f5) | 0;
    let mixed = imul(counter ^ (counter >>> 15), counter | 1);
    mixed ^= mixed + imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The beak of this number, the same at every call; other numbers give other beaks. */
export function beakOf(number: number): Beak {
  return { genes: Array.from({ length: GENES }, seeded(number)), plumage: number };
}

/**
 * Another parrot that looks like this one, in front of the same kind of background: each gene is moved by up to `distance` (1: the whole
 * range), in either direction. With `plumage` the feathers, blotches and noise are this one's to the dot, as no second photo's are.
 */
export function lookalikeOf(beak: Beak, distance: number, plumage = beak.plumage + 1_000_003): Beak {
  const random = seeded(beak.plumage * 8_191 + 77);
  return { genes: beak.genes.map((gene) => min(1, max(0, gene + (2 * random() - 1) * distance))), plumage };
}

/** Draws a beak in profile, with head, eye, feathers and background, as a camera with a little noise sees it. */
export async function draw(beak: Beak): Promise<Drawing> {
  // The service's own sharp reads no SVG.
  sharp.unblock({ operation: ['VipsForeignLoadSvg'] });
  const pixels = await sharp(Buffer.from(svgOf(beak))).removeAlpha().raw().toBuffer();
  const random = seeded(beak.plumage ^ 0x51ed270b);
  const noise = 4 + 10 * random();
  for (let at = 0; at < pixels.length; at += 3) {
    const grain = (random() + random() - 1) * noise;
    for (let channel = at; channel < at + 3; channel++) pixels[channel] = min(255, max(0, (pixels[channel] as number) + grain));
  }
  return pixels;
}

/** A photo of a drawing: a PNG, or a JPEG, after the change. */
export async function photoOf(drawing: Drawing, { crop = [0, 0, 0, 0], scale = 1, brightness = 1, gamma = 1, jpeg }: Change = {}): Promise<Buffer> {
  const tones = Uint8Array.from({ length: 256 }, (_, tone) => min(255, round(255 * brightness * (tone / 255) ** gamma)));
  const toned = new Uint8Array(drawing.length);
  for (let at = 0; at < toned.length; at++) toned[at] = tones[drawing[at] as number] as number;
  const left = round(crop[0] * PICTURE.width);
  const top = round(crop[1] * PICTURE.height);
  const width = round((1 - crop[2]) * PICTURE.width) - left;
  const height = round((1 - crop[3]) * PICTURE.height) - top;
  const photo = sharp(toned, { raw: { ...PICTURE, channels: 3 } })
    .extract({ left, top, width, height })
    .resize(max(64, round(width * scale)), max(64, round(height * scale)), { fit: 'fill' });
  return (jpeg === undefined ? photo.png({ compressionLevel: 1 }) : photo.jpeg({ quality: jpeg })).toBuffer();
}

/** Any mixture of changes within what a copy may have: up to 8 % cut off each side, ±20 % brightness, gamma 0.8–1.25, 0.4–1.2 times as large, JPEG 40–95 or PNG. */
export function anyChange(random: () => number): Change {
  const between = (from: number, to: number): number => from + (to - from) * random();
  return {
    crop: [between(0, 0.08), between(0, 0.08), between(0, 0.08), between(0, 0.08)],
    scale: between(0.4, 1.2),
    brightness: between(0.8, 1.2),
    gamma: between(0.8, 1.25),
    ...(random() < 0.8 && { jpeg: round(between(40, 95)) }),
  };
}

/** A photo of the beak of this number, ready to be sent: a JPEG of some 20 KiB. */
export async function beakPicture(number: number): Promise<Buffer> {
  return photoOf(await draw(beakOf(number)), { jpeg: 90 });
}

function svgOf({ genes, plumage }: Beak): string {
  const left = [...genes];
  // Genes are consumed in one order, so a gene means the same in every beak.
  const gene = (from: number, to: number): number => {
    const next = left.shift();
    if (next === undefined) throw new Error(`a beak needs more than ${GENES} genes`);
    return from + next * (to - from);
  };
  const colour = (lightest: number, darkest: number): string => `hsl(${gene(0, 360).toFixed(1)},${gene(15, 95).toFixed(1)}%,${gene(darkest, lightest).toFixed(1)}%)`;
  const background = { top: colour(90, 20), bottom: colour(90, 20) };
  const head = { x: gene(60, 100), y: gene(75, 105), rx: gene(60, 90), ry: gene(55, 85), colour: colour(80, 15) };
  const parts = [
    `<defs><linearGradient id="b" x2="0.4" y2="1"><stop stop-color="${background.top}"/><stop offset="1" stop-color="${background.bottom}"/></linearGradient></defs>`,
    '<rect width="240" height="180" fill="url(#b)"/>',
    blotches(plumage),
    `<ellipse cx="${head.x}" cy="${head.y}" rx="${head.rx}" ry="${head.ry}" fill="${head.colour}"/>`,
    feathers(plumage, head),
    beakPaths(gene, colour, head),
    eye(gene, colour, head),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 180" width="${PICTURE.width}" height="${PICTURE.height}">${parts.join('')}</svg>`;
}

type Gene = (from: number, to: number) => number;
type Colour = (lightest: number, darkest: number) => string;
interface Head {
  readonly x: number;
  readonly y: number;
  readonly rx: number;
  readonly ry: number;
}

/** Leaves, cages and other parrots behind. */
function blotches(plumage: number): string {
  const random = seeded(plumage ^ 0x2545f491);
  return Array.from({ length: 9 }, () => {
    const shade = random() < 0.5 ? 'black' : 'white';
    return `<ellipse cx="${240 * random()}" cy="${180 * random()}" rx="${6 + 30 * random()}" ry="${6 + 30 * random()}" fill="${shade}" opacity="${0.05 + 0.3 * random()}"/>`;
  }).join('');
}

function feathers(plumage: number, head: Head): string {
  const random = seeded(plumage ^ 0x1b873593);
  return Array.from({ length: 70 }, () => {
    const angle = 2 * Math.PI * random();
    const distance = Math.sqrt(random());
    const x = head.x + head.rx * distance * Math.cos(angle);
    const y = head.y + head.ry * distance * Math.sin(angle);
    const shade = random() < 0.5 ? 'black' : 'white';
    return `<path d="M${x} ${y}q${-6 - 8 * random()} ${3 - 6 * random()} ${-10 - 10 * random()} ${8 * random()}" stroke="${shade}" stroke-width="${1 + 2.5 * random()}" opacity="${0.1 + 0.3 * random()}" fill="none"/>`;
  }).join('');
}

/** Upper and lower mandible, ridge, tip, cere, nostril and stripes. */
function beakPaths(gene: Gene, colour: Colour, head: Head): string {
  const x = head.x + head.rx * gene(0.55, 0.8);
  const y = head.y + gene(-15, 15);
  const [up, down] = [gene(20, 42), gene(12, 30)];
  const tip = { x: x + gene(50, 110), y: y + gene(-5, 50) };
  const bulge = gene(-5, 38);
  const belly = gene(-12, 18);
  const jaw = { x: x + gene(25, 75), y: y + down + gene(-8, 12) };
  const upper = `M${x} ${y - up}C${x + 35} ${y - up - bulge} ${tip.x} ${y - up + 10} ${tip.x} ${tip.y}C${tip.x - 22} ${y + belly} ${x + 25} ${y + 6} ${x} ${y + 4}Z`;
  const lower = `M${x - 2} ${y + 5}Q${x + 30} ${y + 8} ${jaw.x} ${jaw.y - 10}Q${x + 25} ${jaw.y + 14} ${x - 6} ${y + down + 8}Z`;
  const upperColour = colour(80, 20);
  const lowerColour = colour(70, 15);
  const cere = { width: gene(5, 14), colour: colour(85, 35) };
  const nostril = { x: x + gene(4, 26), y: y - up * gene(0.3, 0.8), rx: gene(2, 6), ry: gene(1.5, 4.5) };
  const ridge = gene(0.1, 0.6);
  const stripes = Math.floor(gene(0, 4));
  return [
    `<path d="${lower}" fill="${lowerColour}" stroke="black" stroke-opacity="0.5"/>`,
    `<path d="${upper}" fill="${upperColour}" stroke="black" stroke-opacity="0.6"/>`,
    `<path d="M${x + 8} ${y - up + 6}C${x + 35} ${y - up - bulge + 9} ${tip.x - 8} ${y - up + 20} ${tip.x - 5} ${tip.y - 12}" stroke="white" stroke-width="4" stroke-opacity="${ridge}" fill="none"/>`,
    ...Array.from({ length: stripes }, (_, at) => `<path d="M${x + 34 + 14 * at} ${y - up + 4}q8 ${up * 0.6} -2 ${up}" stroke="black" stroke-width="4" stroke-opacity="0.35" fill="none"/>`),
    `<ellipse cx="${x + 2}" cy="${y - up / 2}" rx="${cere.width}" ry="${up / 1.6}" fill="${cere.colour}"/>`,
    `<ellipse cx="${nostril.x}" cy="${nostril.y}" rx="${nostril.rx}" ry="${nostril.ry}" fill="#1a1010"/>`,
  ].join('');
}

function eye(gene: Gene, colour: Colour, head: Head): string {
  const radius = gene(7, 15);
  const x = head.x + head.rx * gene(0.05, 0.45);
  const y = head.y - head.ry * gene(0.1, 0.5);
  return `<circle cx="${x}" cy="${y}" r="${radius + 4}" fill="${colour(95, 40)}"/><circle cx="${x}" cy="${y}" r="${radius}" fill="#caa23a"/><circle cx="${x}" cy="${y}" r="${radius * 0.55}" fill="black"/><circle cx="${x + radius * 0.2}" cy="${y - radius * 0.2}" r="${radius * 0.15}" fill="white"/>`;
}
