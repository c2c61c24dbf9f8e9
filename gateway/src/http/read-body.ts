import type { IncomingMessage } from 'node:http';
import { HttpRefusal } from './http-refusal.ts';

/**
 * Reads a body whole and calls `done` once, with its text or why it is refused; never when the client has gone.
 * Without promises and stream helpers: for a small body these cost more than the body.
 */
export function readBody(request: IncomingMessage, maxBytes: number, done: (outcome: string | HttpRefusal) => void): void {
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > maxBytes) return done(tooLarge(maxBytes));
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let bytes = 0;

  request.on('data', (chunk: Buffer) => {
    if (bytes > maxBytes) return;
    bytes += chunk.length;
    if (bytes > maxBytes) return done(tooLarge(maxBytes));
    if (first === undefined) first = chunk;
    else if (more === undefined) more = [first, chunk];
    else more.push(chunk);
  });
  request.on('end', () => {
    if (bytes > maxBytes) return;
    const whole = more === undefined ? first : Buffer.concat(more, bytes);
    done(whole === undefined ? '' : whole.toString('utf8'));
  });
  // The connection broke: there is nobody to answer.
  request.on('error', () => {});
}

function tooLarge(maxBytes: number): HttpRefusal {
  const headers = { connection: 'close' };
  return new HttpRefusal(413, `The body is larger than ${Math.round(maxBytes / 1024)} KiB: send less at once`, { reason: 'entity.too.large', headers });
}
