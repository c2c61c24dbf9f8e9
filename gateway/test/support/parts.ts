/** A part of a multipart answer, as JSON. */
export type Part = Record<string, unknown>;

/** Reads a multipart answer by hand, by RFC 2046: what was told so far, and whether the closing delimiter came. */
export function readParts(text: string, boundary: string): { readonly parts: Part[]; readonly isClosed: boolean } {
  const delimiter = `\r\n--${boundary}`;
  // The first delimiter may stand at the very beginning; the last piece is not complete unless it closes the whole.
  const pieces = `\r\n${text}`.replace(/^\r\n(?=\r\n)/, '').split(delimiter);
  const last = pieces.pop();
  const parts = pieces.slice(1).map((piece) => {
    const [head = '', body = ''] = piece.split('\r\n\r\n');
    if (!/^\r\ncontent-type: application\/json$/i.test(head)) throw new Error(`A part has the head ${JSON.stringify(head)}`);
    return JSON.parse(body) as Part;
  });
  return { parts, isClosed: last?.trim() === '--' };
}
