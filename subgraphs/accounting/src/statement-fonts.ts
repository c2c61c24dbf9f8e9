import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';

/** The fonts of statements that Helvetica is not enough for, as pdfkit takes them. */
export interface StatementFonts {
  readonly text: Buffer;
  readonly bold: Buffer;
}

const WOFF = 0x774f4646;
const WOFF_HEADER_BYTES = 44;
const WOFF_ENTRY_BYTES = 20;
const SFNT_HEADER_BYTES = 12;
const SFNT_ENTRY_BYTES = 16;

let known: StatementFonts | null | undefined;

/** DejaVu Sans, read when the first statement needs it and kept: 1.4 MB. Null where it is not installed: statements can do without. */
export function statementFonts(): StatementFonts | null {
  if (known === undefined) known = readFonts();
  return known;
}

function readFonts(): StatementFonts | null {
  try {
    return { text: fontOf('400'), bold: fontOf('700') };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function fontOf(weight: string): Buffer {
  const { resolve } = createRequire(import.meta.url);
  return sfntOf(readFileSync(resolve(`@fontsource/dejavu-sans/files/dejavu-sans-latin-${weight}-normal.woff`)));
}

/**
 * The font in a WOFF file (W3C, version 1.0): a directory of tables, each deflated. pdfkit can read that by itself, but with an inflate in
 * JavaScript, anew for every document, and the process stands still for more than a second.
 * @throws Error when it is no such file
 */
export function sfntOf(woff: Buffer): Buffer {
  if (woff.length < WOFF_HEADER_BYTES || woff.readUInt32BE(0) !== WOFF) throw new Error('This font is not in a WOFF file');
  const tables = Array.from({ length: woff.readUInt16BE(12) }, (_, index) => {
    const entry = woff.subarray(WOFF_HEADER_BYTES + index * WOFF_ENTRY_BYTES);
    const [offset, packedBytes, bytes] = [entry.readUInt32BE(4), entry.readUInt32BE(8), entry.readUInt32BE(12)];
    const packed = woff.subarray(offset, offset + packedBytes);
    // Those that would not get smaller are as they are.
    return { tag: entry.subarray(0, 4), checksum: entry.subarray(16, 20), data: packedBytes < bytes ? inflateSync(packed) : packed };
  });
  const power = Math.floor(Math.log2(tables.length));
  const header = Buffer.alloc(SFNT_HEADER_BYTES);
  woff.copy(header, 0, 4, 8);
  header.writeUInt16BE(tables.length, 4);
  // What readers of 1985 needed to search the directory by halves.
  header.writeUInt16BE(16 * 2 ** power, 6);
  header.writeUInt16BE(power, 8);
  header.writeUInt16BE(16 * (tables.length - 2 ** power), 10);
  let offset = SFNT_HEADER_BYTES + tables.length * SFNT_ENTRY_BYTES;
  const placed = tables.map(({ tag, checksum, data }) => {
    const where = Buffer.alloc(8);
    where.writeUInt32BE(offset, 0);
    where.writeUInt32BE(data.length, 4);
    const padding = Buffer.alloc((4 - (data.length % 4)) % 4);
    offset += data.length + padding.length;
    return { entry: [tag, checksum, where], body: [data, padding] };
  });
  return Buffer.concat([header, ...placed.flatMap(({ entry }) => entry), ...placed.flatMap(({ body }) => body)]);
}
