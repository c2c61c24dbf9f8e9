import { createServer, type AddressInfo, type Socket } from 'node:net';
import { messageReader, type HttpMessage } from './http-messages.ts';
import { answerOfSubgraph } from './shop.ts';
import { SHOP } from './shop-schema.ts';

/** A request that a gateway has sent to a subgraph while requests were recorded. Times are in milliseconds of this process. */
export interface RecordedFetch {
  readonly subgraph: string;
  readonly body: string;
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** What the process is told; it answers with what is wanted. */
export type CannedOrder =
  /** From now on keeps what comes, and holds each answer for so long. */
  | { readonly kind: 'record'; readonly holdMs: number }
  /** Stops that; answered with the fetches. */
  | { readonly kind: 'recorded' };

export type CannedNews =
  | { readonly kind: 'listening'; readonly urls: Readonly<Record<string, string>> }
  | { readonly kind: 'recording' }
  | { readonly kind: 'recorded'; readonly fetches: readonly RecordedFetch[] };

/** Answers are forgotten when they have become so many bytes. */
const CANNED_BYTES_MAX = 1_000_000_000;

let canned = new Map<string, Buffer>();
let cannedBytes = 0;
let recording: { readonly holdMs: number; readonly fetches: RecordedFetch[] } | undefined;

/** The subgraphs of the shop, each at a port of its own: whatever body was asked for once is answered with the same bytes again. */
async function serveShop(): Promise<void> {
  const urls: Record<string, string> = {};
  for (const { name } of SHOP) {
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => serve(socket, name));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1_024, resolve));
    urls[name] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  }
  process.on('message', (order: CannedOrder) => tell(carryOut(order)));
  // Whoever has started it is gone.
  process.on('disconnect', () => process.exit());
  tell({ kind: 'listening', urls });
}

function carryOut(order: CannedOrder): CannedNews {
  if (order.kind === 'record') {
    recording = { holdMs: order.holdMs, fetches: [] };
    return { kind: 'recording' };
  }
  const fetches = recording?.fetches ?? [];
  recording = undefined;
  return { kind: 'recorded', fetches };
}

function tell(news: CannedNews): void {
  process.send?.(news);
}

function serve(socket: Socket, subgraph: string): void {
  let lastAnswer: Promise<void> | undefined;
  const answer = (request: HttpMessage): void => {
    const key = subgraph + request.body.toString('latin1');
    const known = canned.get(key);
    if (known !== undefined && recording === undefined && lastAnswer === undefined) {
      socket.write(known);
      return;
    }
    const answered: Promise<void> = Promise.all([answerTo(subgraph, key, request.body), lastAnswer]).then(([bytes]) => {
      socket.write(bytes);
      if (lastAnswer === answered) lastAnswer = undefined;
    });
    lastAnswer = answered;
  };
  socket.on('data', messageReader(answer));
  // Gateways are stopped in the middle of it.
  socket.on('error', () => socket.destroy());
}

async function answerTo(subgraph: string, key: string, body: Buffer): Promise<Buffer> {
  const record = recording;
  const askedAt = performance.now();
  const bytes = canned.get(key) ?? (await compute(subgraph, key, body));
  if (record !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, record.holdMs));
    record.fetches.push({ subgraph, body: body.toString(), askedAt, answeredAt: performance.now() });
  }
  return bytes;
}

async function compute(subgraph: string, key: string, body: Buffer): Promise<Buffer> {
  // Requests without a body look whether somebody is there.
  const [status, text] = body.length === 0 ? ['200 OK', '{}'] : await answerOfSubgraph(subgraph, body.toString()).then((answer) => ['200 OK', answer], (error: Error) => ['400 Bad Request', JSON.stringify({ errors: [{ message: error.message }] })]);
  const bytes = Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nconnection: keep-alive\r\ncontent-length: ${Buffer.byteLength(text as string)}\r\n\r\n${text}`);
  cannedBytes += key.length + bytes.length;
  if (cannedBytes > CANNED_BYTES_MAX) {
    canned = new Map();
    cannedBytes = 0;
  }
  canned.set(key, bytes);
  return bytes;
}

await serveShop();
