/** A whole HTTP/1.1 message. */
export interface HttpMessage {
  /** Its first line and headers. */
  readonly head: string;
  readonly body: Buffer;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LINE_END_LENGTH = 2;
const NOTHING = Buffer.alloc(0);

/**
 * Cuts what comes on a connection into messages: bodies by Content-Length or in chunks, none without either. Only as much of HTTP/1.1 as
 * servers and clients that are started by the bench itself speak; it costs little, so that those are measured.
 * @returns what takes the next bytes
 */
export function messageReader(onMessage: (message: HttpMessage) => void): (bytes: Buffer) => void {
  let waiting: Buffer[] = [];
  let waitingLength = 0;
  let needed = 0;
  return (bytes) => {
    waitingLength += bytes.length;
    if (waitingLength < needed) {
      waiting.push(bytes);
      return;
    }
    let rest = waiting.length === 0 ? bytes : Buffer.concat([...waiting, bytes]);
    needed = 0;
    while (rest.length > 0) {
      const found = cutMessage(rest);
      if (typeof found === 'number') {
        needed = found;
        break;
      }
      onMessage(found);
      rest = rest.subarray(found.length);
    }
    waiting = rest.length === 0 ? [] : [rest];
    waitingLength = rest.length;
  };
}

/** The first message with its whole length, or how many bytes are needed at least to know more. */
function cutMessage(bytes: Buffer): (HttpMessage & { readonly length: number }) | number {
  const headEnd = bytes.indexOf(END_OF_HEAD);
  if (headEnd < 0) return bytes.length + 1;
  const head = bytes.toString('latin1', 0, headEnd);
  const start = headEnd + END_OF_HEAD.length;
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (declared !== undefined) {
    const length = start + Number(declared);
    return bytes.length < length ? length : { head, body: bytes.subarray(start, length), length };
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { head, body: NOTHING, length: start };
  const chunked = cutChunks(bytes, start);
  return typeof chunked === 'number' ? chunked : { head, ...chunked };
}

function cutChunks(bytes: Buffer, start: number): { readonly body: Buffer; readonly length: number } | number {
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd < 0) return bytes.length + 1;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const from = lineEnd + LINE_END_LENGTH;
    const next = from + size + LINE_END_LENGTH;
    if (bytes.length < next) return next;
    if (size === 0) return { body: Buffer.concat(chunks), length: next };
    chunks.push(bytes.subarray(from, from + size));
    at = next;
  }
}
