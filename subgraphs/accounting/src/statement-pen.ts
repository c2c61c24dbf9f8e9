import type { StatementFonts } from './statement-fonts.ts';

export type Align = 'left' | 'right';
/** Where a text may be, in points, of a width that it does not leave. */
export interface Cell {
  readonly x: number;
  readonly width: number;
  readonly align: Align;
  /** Default: 1. */
  readonly linesMax?: number;
}

export const LINE_HEIGHT = 11;
const SIZE = 8;
/** Texts in DejaVu after which pdfkit is to forget how it laid out their words: it would keep every word of the document. */
const LAYOUTS_KEPT_OF_TEXTS = 200;

/** Of what every viewer has by itself: small and fast, and knows Western Europe's letters only. */
const PLAIN = { text: 'Helvetica', bold: 'Helvetica-Bold' };
/** For whatever these don't know; embedded, of each the glyphs that are used. */
const UNICODE = { text: 'DejaVu', bold: 'DejaVu-Bold' };
const WIN_ANSI = /^[\x20-\x7e\xa0-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]*$/;
export type Weight = keyof typeof PLAIN;

export interface Place extends Cell {
  /** Of the first line's upper edge. */
  readonly y: number;
  readonly weight: Weight;
  readonly size?: number;
}

export interface Pen {
  /** Writes a text; one that is too wide for its cell goes on in as many lines as the cell may have, and is then cut. */
  put(text: string, place: Place): void;
  heightOf(text: string, cell: Cell): number;
}

/** Writes into a document's page of the moment. @param fonts are asked for when there is a text that Helvetica has not all letters of */
export function createPen(document: PDFKit.PDFDocument, fonts: () => StatementFonts | null): Pen {
  let unicodeTexts = 0;
  /** Chooses the font for a text. @returns the text as that font can show it */
  const choose = (text: string, weight: Weight, size: number): string => {
    document.fontSize(size);
    if (WIN_ANSI.test(text)) {
      document.font(PLAIN[weight]);
      return text;
    }
    const known = fonts();
    if (known === null) {
      document.font(PLAIN[weight]);
      return text.replaceAll(JOINERS, '').replaceAll(/./gsu, (letter) => (WIN_ANSI.test(letter) ? letter : '?'));
    }
    if (unicodeTexts === 0) for (const name of ['text', 'bold'] as const) document.registerFont(UNICODE[name], known[name]);
    unicodeTexts += 1;
    const { _font: embedded } = document.font(UNICODE[weight]) as unknown as { readonly _font: EmbeddedFont };
    if (unicodeTexts % LAYOUTS_KEPT_OF_TEXTS === 0) embedded.layoutCache = {};
    return text.replaceAll(JOINERS, '').replaceAll(/./gsu, (letter) => (embedded.font.hasGlyphForCodePoint(letter.codePointAt(0) ?? 0) ? letter : '?'));
  };
  /** The text in lines that are no wider, in the font that is chosen; what does not fit into them is cut and ends in `…`. */
  const wrap = (text: string, width: number, linesMax: number): string[] => {
    const fits = (candidate: string): boolean => document.widthOfString(candidate) <= width;
    if (fits(text)) return [text];
    const lines: string[] = [];
    let rest = text;
    while (rest !== '' && lines.length < linesMax - 1) {
      const letters = longest(rest, fits);
      const space = rest.lastIndexOf(' ', letters);
      const end = letters === rest.length || space <= 0 ? letters : space;
      lines.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    if (rest !== '') lines.push(fits(rest) ? rest : `${rest.slice(0, longest(rest, (start) => fits(`${start}…`)))}…`);
    return lines;
  };
  // A row's height is asked for right before its texts are written: the longest of them is not laid out twice.
  let measured: { readonly text: string; readonly lines: readonly string[] } | undefined;
  return {
    put: (text, { x, width, align, y, weight, size = SIZE, linesMax = 1 }) => {
      if (text === '') return;
      const shown = choose(text, weight, size);
      const lines = linesMax > 1 && measured?.text === text ? measured.lines : wrap(shown, width, linesMax);
      for (const [index, line] of lines.entries()) {
        const start = align === 'right' ? x + width - document.widthOfString(line) : x;
        // On one line, whichever font and whichever size.
        document.text(line, start, y + index * LINE_HEIGHT + size, { lineBreak: false, baseline: 'alphabetic' });
      }
    },
    heightOf: (text, { width, linesMax = 1 }) => {
      measured = { text, lines: wrap(choose(text, 'text', SIZE), width, linesMax) };
      return measured.lines.length * LINE_HEIGHT;
    },
  };
}

/** The length of the longest start of a text that fits, at least one letter. */
function longest(text: string, fits: (start: string) => boolean): number {
  let [short, long] = [1, text.length];
  while (short < long) {
    const middle = Math.ceil((short + long) / 2);
    if (fits(text.slice(0, middle))) short = middle;
    else long = middle - 1;
  }
  // Not within a letter of two halves.
  return short > 1 && /[\ud800-\udbff]/.test(text[short - 1] ?? '') ? short - 1 : short;
}

/** Joiners and variants of letters and pictures: nothing is lost where they are not shown. */
const JOINERS = /\p{Default_Ignorable_Code_Point}/gu;

/** What pdfkit keeps to itself: which letters a font has, and the words that it has laid out. */
interface EmbeddedFont {
  readonly font: { hasGlyphForCodePoint(codePoint: number): boolean };
  layoutCache: object;
}
