import { beforeAll, describe, expect, test } from '@jest/globals';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { beakLikeness, isSameBeak, LIKENESS_MIN, type BeakPrint } from '../src/beak.ts';
import { PHOTO_DECODERS, PHOTO_MAX_BYTES, PHOTO_MAX_PIXELS, PHOTO_MAX_SIDE, PHOTO_MAX_WAITING, PHOTO_MIN_SIDE, readBeakPhoto } from '../src/beak-photo.ts';
import { beakOf, draw, photoOf, PICTURE, seeded, type Drawing } from './beak-pictures.ts';

const read = (bytes: Uint8Array): Promise<BeakPrint> => readBeakPhoto(Buffer.from(bytes).toString('base64'));
const refused = (message: RegExp) => expect.objectContaining({ name: 'DomainError', code: 'BAD_USER_INPUT', message: expect.stringMatching(message), details: { field: 'photo' } });
const DAMAGED = /cannot be read, it is damaged or incomplete: save it anew/;

/** One chunk of a PNG: length, type, data, checksum. */
function chunk(type: string, data = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  data.copy(bytes, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/** A black PNG. `bits` are those of a pixel: 1 is black and white, 64 is red, green, blue and alpha of 16 bits each. */
function blackPng({ width, height, bits, interlaced = false, more = [] }: { width: number; height: number; bits: 1 | 64; interlaced?: boolean; more?: Buffer[] }): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set(bits === 1 ? [1, 0] : [16, 6], 8);
  header[12] = Number(interlaced);
  // The seven passes of Adam7: first column and row, steps between columns and rows.
  const passes = interlaced ? [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] : [[0, 0, 1, 1]];
  const size = passes.reduce((sum, [x = 0, y = 0, right = 1, down = 1]) => sum + Math.ceil((height - y) / down) * (1 + Math.ceil((Math.ceil((width - x) / right) * bits) / 8)), 0);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', header), ...more, chunk('IDAT', deflateSync(Buffer.alloc(size), { level: 9 })), chunk('IEND')]);
}

/** How long reading takes (ms; the shorter of two, as other processes may have the machine for a moment), and by how much the process grows at the first (bytes). */
async function costOf(bytes: Buffer): Promise<{ ms: number; growth: number; outcome: unknown }> {
  const first = await costOnce(bytes.toString('base64'));
  const second = await costOnce(bytes.toString('base64'));
  return { ...first, ms: Math.min(first.ms, second.ms) };
}

async function costOnce(base64: string): Promise<{ ms: number; growth: number; outcome: unknown }> {
  const before = process.memoryUsage.rss();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 1);
  const startedAt = performance.now();
  const outcome = await readBeakPhoto(base64).catch((error: unknown) => error);
  const ms = performance.now() - startedAt;
  clearInterval(watch);
  return { ms, growth: Math.max(most, process.memoryUsage.rss()) - before, outcome };
}

describe('a photo of a beak', () => {
  let drawing: Drawing;
  let png: Buffer;
  let jpeg: Buffer;
  let enrolled: BeakPrint;
  const picture = (): Sharp => sharp(drawing, { raw: { ...PICTURE, channels: 3 } });

  beforeAll(async () => {
    drawing = await draw(beakOf(1));
    png = await photoOf(drawing);
    jpeg = await photoOf(drawing, { jpeg: 90 });
    enrolled = await read(png);
  });

  test.each<[string, (from: Sharp) => Sharp]>([
    ['a baseline JPEG', (from) => from.jpeg()],
    ['a progressive JPEG', (from) => from.jpeg({ progressive: true })],
    ['a JPEG in shades of grey', (from) => from.greyscale().jpeg()],
    ['a JPEG in printing colours', (from) => from.toColourspace('cmyk').jpeg()],
    ['a JPEG with a colour profile', (from) => from.withIccProfile('p3').jpeg()],
    ['a large JPEG', (from) => from.resize(2_400, 1_800).jpeg({ quality: 50 })],
    ['a PNG', (from) => from.png()],
    ['an interlaced PNG', (from) => from.png({ progressive: true })],
    ['a PNG with a palette', (from) => from.png({ palette: true })],
    ['a PNG in shades of grey', (from) => from.greyscale().png()],
    ['a PNG of 16 bits', (from) => from.toColourspace('rgb16').png()],
    ['a PNG with transparency', (from) => from.ensureAlpha(0.9).png()],
  ])('is read from %s', async (_what, make) => {
    expect(beakLikeness(enrolled, await read(await make(picture()).toBuffer()))).toBeGreaterThan(0.95);
  });

  test.each([[3, 180], [6, 270], [8, 90]])('is turned upright as the camera noted it (orientation %i)', async (orientation, turned) => {
    for (const format of ['jpeg', 'png'] as const) {
      const turnedAside = await picture().rotate(turned).toBuffer({ resolveWithObject: true });
      const photo = sharp(turnedAside.data, { raw: turnedAside.info }).withMetadata({ orientation }).toFormat(format);
      expect(beakLikeness(enrolled, await read(await photo.toBuffer()))).toBeGreaterThan(0.95);
    }
  });

  test('is seen on white where it is transparent', async () => {
    const cutOut = Buffer.from(await picture().ensureAlpha().raw().toBuffer());
    const onWhite = Buffer.from(drawing);
    // The left third is cut out, and black below that.
    for (let at = 0; at < cutOut.length; at += 4) {
      if ((at / 4) % PICTURE.width >= PICTURE.width / 3) continue;
      cutOut.fill(0, at, at + 4);
      onWhite.fill(255, (3 * at) / 4, (3 * at) / 4 + 3);
    }
    const seen = await read(await sharp(cutOut, { raw: { ...PICTURE, channels: 4 } }).png().toBuffer());
    expect(beakLikeness(await read(await photoOf(onWhite)), seen)).toBeGreaterThan(0.99);
  });

  test('may come as a data URL', async () => {
    expect(await readBeakPhoto(`data:image/png;base64,${png.toString('base64')}`)).toEqual(enrolled);
    expect(await readBeakPhoto(`data:image/jpeg;base64,${jpeg.toString('base64')}`)).toEqual(await read(jpeg));
  });

  test('may have anything after its end, as phones put a film there', async () => {
    expect(await read(Buffer.concat([jpeg, Buffer.from('film')]))).toEqual(await read(jpeg));
    expect(await read(Buffer.concat([png, Buffer.from('film')]))).toEqual(enrolled);
  });

  test.each<[string, string, RegExp]>([
    ['is empty', '', /photo is empty: send a PNG or JPEG in base64/],
    ['is an empty data URL', 'data:image/png;base64,', /photo is empty/],
    ['is no base64', 'my beak', /must be base64/],
    ['is a data URL of something else', 'data:text/plain;base64,aGVsbG8=', /must be base64/],
    ['is base64 of the kind for URLs', Buffer.from('ffd8fffbff', 'hex').toString('base64url'), /must be base64/],
    ['is base64 with its padding left off', Buffer.from('ffd8fffb', 'hex').toString('base64').replace(/=+$/, ''), /must be base64/],
    ['is base64 with a line break', `${Buffer.from('ffd8ff').toString('base64')}\n`, /must be base64/],
    ['is base64 with bits left over', '/9j/ZR==', /must be base64/],
    ['is text', Buffer.from('hello').toString('base64'), /must be a PNG or a JPEG: convert it/],
    ['is an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"/>').toString('base64'), /must be a PNG or a JPEG/],
    ['is a PDF', Buffer.from('%PDF-1.7\n').toString('base64'), /must be a PNG or a JPEG/],
    ['is a zip', Buffer.from('504b0304140000000800', 'hex').toString('base64'), /must be a PNG or a JPEG/],
    ['is the beginning of a PNG only', Buffer.from('89504e470d0a1a0a', 'hex').toString('base64'), DAMAGED],
    ['is the beginning of a JPEG only', Buffer.from('ffd8ff', 'hex').toString('base64'), DAMAGED],
    ['is an SVG that pretends to be a JPEG', Buffer.concat([Buffer.from('ffd8ff', 'hex'), Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')]).toString('base64'), DAMAGED],
  ])('is refused when it %s', async (_what, base64, message) => {
    await expect(readBeakPhoto(base64)).rejects.toEqual(refused(message));
  });

  test.each(['gif', 'webp', 'tiff', 'avif'] as const)('is refused as %s', async (format) => {
    await expect(read(await picture().toFormat(format).toBuffer())).rejects.toEqual(refused(/must be a PNG or a JPEG/));
  });

  test('reaches no decoder but those for PNG and JPEG', async () => {
    await expect(sharp(await picture().gif().toBuffer()).metadata()).rejects.toThrow('unsupported image format');
    await expect(sharp(await picture().webp().toBuffer()).metadata()).rejects.toThrow('unsupported image format');
  });

  test('is refused when it is cut off anywhere, and when a PNG has a bit flipped', async () => {
    for (const share of [0.1, 0.5, 0.9, 0.99]) {
      await expect(read(png.subarray(0, png.length * share))).rejects.toEqual(refused(DAMAGED));
      await expect(read(jpeg.subarray(0, jpeg.length * share))).rejects.toEqual(refused(DAMAGED));
    }
    const flipped = Buffer.from(png);
    flipped[flipped.length >> 1]! ^= 1;
    await expect(read(flipped)).rejects.toEqual(refused(DAMAGED));
  });

  test('is either read or refused, whatever bytes of it are damaged', async () => {
    const random = seeded(7);
    for (let count = 0; count < 200; count++) {
      const bytes = Buffer.from(count % 2 === 0 ? jpeg : png);
      for (let damage = 0; damage < 1 + count % 4; damage++) bytes[Math.floor(random() * bytes.length)] = 256 * random();
      const outcome = await read(bytes).catch((error: unknown) => error);
      if (!(outcome instanceof Uint8Array)) expect(outcome).toEqual(refused(/^photo /));
    }
  });

  test('is refused when it shows one colour', async () => {
    await expect(read(blackPng({ width: 100, height: 100, bits: 1 }))).rejects.toEqual(refused(/must show a beak/));
  });

  test(`has ${PHOTO_MAX_BYTES / 1024} KiB at most`, async () => {
    const padded = (size: number): Buffer => Buffer.concat([jpeg, Buffer.alloc(size - jpeg.length)]);
    expect(isSameBeak(enrolled, await read(padded(PHOTO_MAX_BYTES)))).toBe(true);
    await expect(read(padded(PHOTO_MAX_BYTES + 1))).rejects.toEqual(refused(/at most 180 KiB: make it smaller/));
    await expect(readBeakPhoto('A'.repeat(1_000_000))).rejects.toEqual(refused(/at most 180 KiB/));
  });

  test(`is ${PHOTO_MIN_SIDE} to ${PHOTO_MAX_SIDE} pixels wide and high`, async () => {
    const sized = (width: number, height: number) => picture().resize(width, height, { fit: 'fill' }).jpeg({ quality: 80 }).toBuffer().then(read);
    expect(beakLikeness(enrolled, await sized(PHOTO_MIN_SIDE, PHOTO_MIN_SIDE))).toBeGreaterThan(LIKENESS_MIN);
    await expect(sized(PHOTO_MIN_SIDE - 1, 200)).rejects.toEqual(refused(/at least 64 pixels wide and high/));
    await expect(sized(200, PHOTO_MIN_SIDE - 1)).rejects.toEqual(refused(/at least 64 pixels wide and high/));
    await expect(read(blackPng({ width: PHOTO_MAX_SIDE + 1, height: 64, bits: 1 }))).rejects.toEqual(refused(/at most 8000 pixels wide and high/));
  });

  test('is one picture: an animated PNG is refused', async () => {
    const animation = Buffer.alloc(8);
    animation.writeUInt32BE(2, 0);
    await expect(read(blackPng({ width: 100, height: 100, bits: 1, more: [chunk('acTL', animation)] }))).rejects.toEqual(refused(/single picture, not an animation/));
  });

  describe('made to exhaust the server', () => {
    test('with 900 million pixels in 110 KB is refused by its header, at once and in no memory', async () => {
      const bomb = blackPng({ width: 30_000, height: 30_000, bits: 1 });
      expect(bomb.length).toBeLessThan(PHOTO_MAX_BYTES);
      const { ms, growth, outcome } = await costOf(bomb);
      expect(outcome).toEqual(refused(/at most 8 million pixels: make it smaller/));
      expect(ms).toBeLessThan(200);
      expect(growth).toBeLessThan(50e6);
    });

    test('with one pixel too many is refused, too', async () => {
      await expect(read(blackPng({ width: PHOTO_MAX_PIXELS / 4_000 + 1, height: 4_000, bits: 1 }))).rejects.toEqual(refused(/at most 8 million pixels/));
    });

    test.each([false, true])('with as many pixels as there may be, 64 bits each, takes some tens of megabytes (interlaced: %s)', async (interlaced) => {
      const { growth, outcome } = await costOf(blackPng({ width: 2_828, height: 2_828, bits: 64, interlaced }));
      // On a busy machine the time may be up first.
      expect(outcome).toEqual(refused(/must show a beak|takes too long/));
      expect(growth).toBeLessThan(150e6);
    });

    test('with 150 MB of compressed text is read without it', async () => {
      const text = chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), deflateSync(Buffer.alloc(150_000_000), { level: 9 })]));
      const { ms, growth, outcome } = await costOf(blackPng({ width: 100, height: 100, bits: 1, more: [text] }));
      expect(outcome).toEqual(refused(/must show a beak/));
      expect(ms).toBeLessThan(200);
      expect(growth).toBeLessThan(50e6);
    });

    test('with thousands of passes over its pixels is refused before the first', async () => {
      const progressive = await sharp({ create: { width: 2_800, height: 2_800, channels: 3, background: '#888' } }).jpeg({ progressive: true }).toBuffer();
      const lastPass = progressive.subarray(progressive.lastIndexOf('ffda', undefined, 'hex'), -2);
      const passes = Array.from({ length: Math.floor((PHOTO_MAX_BYTES - progressive.length) / lastPass.length) }, () => lastPass);
      const { ms, outcome } = await costOf(Buffer.concat([progressive.subarray(0, -2), ...passes, progressive.subarray(-2)]));
      expect(outcome).toEqual(refused(/too many passes: save it anew/));
      expect(ms).toBeLessThan(200);
    });
  });

  test(`waits for its turn with at most ${PHOTO_MAX_WAITING} others; one more is asked to come back in a second`, async () => {
    const room = PHOTO_DECODERS + PHOTO_MAX_WAITING;
    const outcomes = await Promise.allSettled(Array.from({ length: room + 1 }, () => read(jpeg)));
    expect(outcomes.slice(0, room).map(({ status }) => status)).toEqual(Array.from({ length: room }, () => 'fulfilled'));
    expect(outcomes[room]).toMatchObject({ status: 'rejected', reason: { code: 'RATE_LIMITED', message: expect.stringContaining('try again in a second'), details: { retryAfterSeconds: 1 } } });
    expect(isSameBeak(enrolled, await read(jpeg))).toBe(true);
  });
});
