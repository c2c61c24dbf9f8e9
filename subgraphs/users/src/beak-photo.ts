import { DomainError } from '@ates/service-kit/domain-error';
import pLimit from 'p-limit';
import sharp, { type SharpOptions } from 'sharp';
import { beakPrintOf, SIDE, type BeakPrint } from './beak.ts';

/** Bytes of a photo, decoded from base64: a multiple of 3, so that the text's length tells. With base64's third on top it fits into a request of 256 KiB. */
export const PHOTO_MAX_BYTES = 180 * 1024;
/** Width times height. More than a good photo has in PHOTO_MAX_BYTES, and few enough to be decoded in tens of megabytes. */
export const PHOTO_MAX_PIXELS = 8_000_000;
/** Pixels that a photo has at least, and at most, in width and in height. (Of a picture as wide as 100,000 one row takes a megabyte.) */
export const PHOTO_MIN_SIDE = 64;
export const PHOTO_MAX_SIDE = 8_000;
/** Photos decoded at a time. */
export const PHOTO_DECODERS = 2;
/** Photos that may wait for their turn. */
export const PHOTO_MAX_WAITING = 16;
/** From when on a picture is given up. */
const DECODE_TIMEOUT_SECONDS = 2;
/** Passes in which a progressive JPEG may come (encoders make about 10): each costs a walk over all pixels, and a pass that changes nothing takes a few bytes. */
const JPEG_MAX_SCANS = 24;

const BASE64_MAX_LENGTH = (4 * PHOTO_MAX_BYTES) / 3;
const DATA_URL = /^data:image\/(?:png|jpe?g);base64,/;
const PNG_SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const JPEG_START = Buffer.from('ffd8ff', 'hex');

// Of this process's decoders only these two are reachable at all, whatever the bytes look like; one thread a photo, nothing kept.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer'] });
sharp.concurrency(1);
sharp.cache(false);

// 'warning' is stricter than 'error' by the damage that a decoder notices and smooths over: most of the broken JPEGs.
const SHARP: SharpOptions = { limitInputPixels: PHOTO_MAX_PIXELS, sequentialRead: true, failOn: 'warning', pages: 1, autoOrient: true, ignoreIcc: true };
const decoders = pLimit(PHOTO_DECODERS);

/**
 * The print of the beak in a photo.
 * @param base64 a PNG or JPEG in base64 (RFC 4648, padded, without line breaks), bare or as a data URL
 * @throws DomainError BAD_USER_INPUT (field `photo`) when it is no such picture, breaks a limit above or shows no beak;
 *   RATE_LIMITED (retryAfterSeconds) when PHOTO_MAX_WAITING others wait already
 */
export async function readBeakPhoto(base64: string): Promise<BeakPrint> {
  const bytes = bytesOf(base64);
  const format = formatOf(bytes);
  if (format === 'png') refuseAnimation(bytes);
  else refuseManyScans(bytes);
  if (decoders.activeCount + decoders.pendingCount >= PHOTO_DECODERS + PHOTO_MAX_WAITING) {
    throw new DomainError('RATE_LIMITED', 'Too many beak photos are being looked at: try again in a second', { retryAfterSeconds: 1 });
  }
  return beakPrintOf(await decoders(() => decoded(bytes, format)));
}

function refusal(message: string): DomainError {
  return new DomainError('BAD_USER_INPUT', message, { field: 'photo' });
}

function bytesOf(base64: string): Buffer {
  const text = base64.replace(DATA_URL, '');
  if (text === '') throw refusal('photo is empty: send a PNG or JPEG in base64');
  if (text.length > BASE64_MAX_LENGTH) throw refusal(`photo must have at most ${PHOTO_MAX_BYTES / 1024} KiB: make it smaller (1000 pixels wide is plenty) or compress it more`);
  const bytes = Buffer.from(text, 'base64');
  // Node reads past what is no base64; only the exact text is made again of what it read.
  if (bytes.toString('base64') !== text) throw refusal('photo must be base64: with + and /, padded with =, without spaces or line breaks');
  return bytes;
}

function formatOf(bytes: Buffer): 'png' | 'jpeg' {
  if (bytes.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) return 'png';
  if (bytes.subarray(0, JPEG_START.length).equals(JPEG_START)) return 'jpeg';
  throw refusal('photo must be a PNG or a JPEG: convert it to one of these');
}

/** @throws DomainError BAD_USER_INPUT for an animated PNG: people would see other pictures of it than the decoder does */
function refuseAnimation(png: Buffer): void {
  for (let at = PNG_SIGNATURE.length; at + 8 <= png.length; at += 12 + png.readUInt32BE(at)) {
    const type = png.toString('latin1', at + 4, at + 8);
    if (type === 'acTL') throw refusal('photo must be a single picture, not an animation: send one frame of it');
    if (type === 'IDAT') return;
  }
}

/** @throws DomainError BAD_USER_INPUT for a JPEG of more passes than JPEG_MAX_SCANS */
function refuseManyScans(jpeg: Buffer): void {
  let scans = 0;
  for (let at = jpeg.indexOf('ffda', 0, 'hex'); at >= 0; at = jpeg.indexOf('ffda', at + 2, 'hex')) scans += 1;
  if (scans > JPEG_MAX_SCANS) throw refusal('photo must be an ordinary JPEG, and this one comes in too many passes: save it anew');
}

function damaged(): DomainError {
  return refusal('photo cannot be read, it is damaged or incomplete: save it anew as a PNG or JPEG');
}

/** SIDE × SIDE luminances, row by row. @throws DomainError BAD_USER_INPUT, and nothing else for any bytes */
async function decoded(picture: Buffer, format: 'png' | 'jpeg'): Promise<Buffer> {
  const header = await sharp(picture, SHARP).metadata().catch(refuse);
  if (header.format !== format || (header.pages ?? 1) > 1) throw damaged();
  if (Math.min(header.width, header.height) < PHOTO_MIN_SIDE) throw refusal(`photo must be at least ${PHOTO_MIN_SIDE} pixels wide and high: take it closer`);
  if (Math.max(header.width, header.height) > PHOTO_MAX_SIDE) throw refusal(`photo must be at most ${PHOTO_MAX_SIDE} pixels wide and high: make it smaller`);
  return sharp(picture, SHARP)
    .timeout({ seconds: DECODE_TIMEOUT_SECONDS })
    .flatten({ background: 'white' })
    .resize(SIDE, SIDE, { fit: 'fill' })
    .toColourspace('b-w')
    .raw({ depth: 'uchar' })
    .toBuffer()
    .catch(refuse);
}

function refuse(error: unknown): never {
  if (error instanceof Error && /pixel limit/.test(error.message)) throw refusal(`photo must have at most ${PHOTO_MAX_PIXELS / 1_000_000} million pixels: make it smaller`);
  if (error instanceof Error && /timeout/.test(error.message)) throw refusal('photo takes too long to read: save it anew, smaller');
  throw damaged();
}
