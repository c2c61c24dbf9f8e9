/** Numbers below a bound, the same for the same seed (mulberry32). */
export type Draw = (below: number) => number;

export function createDraw(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const STATUSES = [200, 200, 200, 200, 200, 201, 204, 304, 400, 404, 500, 503, 100, 103, 101, 199, 600, 999, 0];
const VERSIONS = [...Array.from({ length: 40 }, () => '1.1'), '1.0', '1.0', '1.0', '0.9', '2.0', '1.2'];
const BODIES = ['', '{}', '{"data":{"me":null}}', '{"data":{"name":"Zoë €😀"}}', 'null', '\r\n\r\n', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', 'x'.repeat(3_000)];
const OTHER_FIELDS = ['content-type: application/json', 'x: y', 'X-Y:', 'keep-alive: timeout=5', 'connection: keep-alive', 'connection: close', 'Connection: Upgrade', 'upgrade: h2c', 'date: x', 'x: \xe4', 'x:\ty\t', 'trailer: x', 'content-encoding: identity', 'set-cookie: a=b'];
const BAD_FIELDS = [' x: folded', 'x : y', ': y', 'x', 'x: \0', 'content-length: +2', 'content-length: 2, 2', 'content-length:', 'content-length: 0x2', 'transfer-encoding: gzip', 'transfer-encoding: gzip, chunked', 'transfer-encoding: chunked, gzip', 'transfer-encoding: identity', 'content-encoding: gzip', 'x: a\rb', 'content-length: 18446744073709551617'];
const EXTENSIONS = ['', '', '', ';x', ';x=y', ';x="y\\"z"', ';x;y=z', ';', ' ;x', ';x=', ';x="', ' '];
const BLANKS = ['', ' ', '  ', '\t', ' \t '];
const PIECES = ['\r', '\n', '\r\n', '\0', ' ', '\t', ':', ';', ',', '0', '1', 'f', 'a', '-', '+', '\x7f', '\x80', '\xff', 'chunked', 'content-length: 2\r\n', 'transfer-encoding: chunked\r\n', 'connection: close\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'];

/** A response, mostly valid, as characters of one byte each; other things may follow it. */
export function drawResponse(draw: Draw): string {
  const interim = draw(12) === 0 ? drawInterim(draw) : '';
  const response = interim + drawFinal(draw) + (draw(20) === 0 ? drawFinal(draw) : '');
  const changes = draw(5) < 2 ? 0 : 1 + draw(3);
  let changed = response;
  for (let count = 0; count < changes; count += 1) changed = change(changed, draw);
  return changed;
}

/** Where the bytes are cut when they are sent. */
export function drawCuts(length: number, draw: Draw): number[] {
  return Array.from({ length: draw(5) }, () => draw(length + 1)).sort((one, other) => one - other);
}

function pick<Item>(items: readonly Item[], draw: Draw): Item {
  return items[draw(items.length)] as Item;
}

function drawInterim(draw: Draw): string {
  return `HTTP/1.1 ${pick([100, 102, 103, 103, 101], draw)} x\r\n${draw(2) === 0 ? 'link: y\r\n' : ''}\r\n`;
}

function drawFinal(draw: Draw): string {
  const body = Buffer.from(pick(BODIES, draw)).toString('latin1');
  const fields = Array.from({ length: draw(5) }, () => (draw(25) === 0 ? pick(BAD_FIELDS, draw) : pick(OTHER_FIELDS, draw)));
  const [framing, framed] = drawFraming(body, draw);
  fields.splice(draw(fields.length + 1), 0, ...framing);
  const status = draw(6) === 0 ? pick(STATUSES, draw) : 200;
  return `HTTP/${pick(VERSIONS, draw)} ${String(status).padStart(3, '0')}${pick([' OK', ' OK', ' OK', ' OK', ' OK', ' ', ' ', ' ', ''], draw)}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n${framed}`;
}

function drawFraming(body: string, draw: Draw): [string[], string] {
  const told = body.length + (draw(25) === 0 ? draw(5) - 2 : 0);
  const length = `${pick(['content-length', 'Content-Length', 'CONTENT-LENGTH'], draw)}:${inBlanks(String(told), draw)}`;
  const kind = draw(10);
  if (kind < 4) return [draw(20) === 0 ? [length, length] : [length], body];
  if (kind < 5) return [[], body];
  const chunked = `${pick(['transfer-encoding', 'Transfer-Encoding'], draw)}:${inBlanks(pick(['chunked', 'chunked', 'Chunked'], draw), draw)}`;
  return [draw(20) === 0 ? [chunked, length] : draw(30) === 0 ? [chunked, chunked] : [chunked], inChunks(body, draw)];
}

function inBlanks(value: string, draw: Draw): string {
  return draw(10) === 0 ? pick(BLANKS, draw) + value + pick(BLANKS, draw) : ` ${value}`;
}

function inChunks(body: string, draw: Draw): string {
  let chunks = '';
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + draw(draw(2) === 0 ? 20 : 4_000));
    const hex = pick([size.toString(16), size.toString(16).toUpperCase(), `0${size.toString(16)}`], draw);
    chunks += `${hex}${draw(10) === 0 ? pick(EXTENSIONS, draw) : ''}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers = draw(5) === 0 ? pick(['x: y\r\n', 'content-length: 2\r\n', 'x\r\n', 'transfer-encoding: chunked\r\n', 'a: b\r\nc: d\r\n'], draw) : '';
  return `${chunks}0\r\n${trailers}\r\n`;
}

/** Takes away, puts in, replaces, says twice or cuts off. */
function change(response: string, draw: Draw): string {
  // Mostly where the framing is, not in a long body.
  const at = draw(draw(3) === 0 ? response.length : Math.min(response.length, 200));
  const before = response.slice(0, at);
  switch (draw(5)) {
    case 0:
      return before + response.slice(at + 1 + draw(3));
    case 1:
      return before + pick(PIECES, draw) + response.slice(at);
    case 2:
      return before + pick(PIECES, draw) + response.slice(at + 1);
    case 3: {
      const line = response.slice(response.lastIndexOf('\n', at) + 1, response.indexOf('\n', at) + 1);
      return response.replace(line, () => line + line);
    }
    default:
      return draw(3) === 0 ? before : response.replace('\r\n', () => '\n');
  }
}
