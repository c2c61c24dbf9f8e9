import { oddDocument, oddRequest, oddValue, VALID } from './gateway-documents.ts';
import { ANSWERED, type Piece, type Target } from './gateway-target.ts';
import { between, oneOf, type Random } from './random.ts';

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FINAL = 0x80;
const MASKED = 0x80;
const INIT = '{"type":"connection_init"}';

/** WebSockets that break RFC 6455: in their handshake, or by what comes after it. */
export async function breakSocket(target: Target, random: Random): Promise<void> {
  const send: Piece[] = [random() < 0.3 ? spoiltUpgrade(random) : upgrade(), random() < 0.8 ? ANSWERED : 0];
  if (random() < 0.6) send.push(text(INIT));
  for (let left = between(random, 1, 4); left > 0; left -= 1) send.push(oneOf(random, BROKEN_FRAMES)(random));
  await target.attempt({ kind: 'WebSocket', send, end: oneOf(random, ['look', 'half', 'abrupt'] as const), lookMs: between(random, 1, 60) });
}

/** Sockets that are sound and break graphql-transport-ws, or send it what nobody should. */
export async function misspeak(target: Target, random: Random): Promise<void> {
  const send: Piece[] = [upgrade(random() < 0.93 ? 'graphql-transport-ws' : oneOf(random, ['graphql-ws', '', 'x, graphql-transport-ws', 'graphql-transport-ws, graphql-transport-ws', ',,', 'a'.repeat(3_000)])), ANSWERED];
  if (random() < 0.85) send.push(text(INIT));
  for (let left = between(random, 1, 6); left > 0; left -= 1) {
    send.push(text(oneOf(random, MESSAGES)(random)));
    if (random() < 0.2) send.push(between(random, 1, 25));
  }
  if (random() < 0.2) send.push(frame({ opcode: OPCODE.close, payload: Buffer.from([0x03, 0xe8]) }));
  await target.attempt({ kind: 'graphql-transport-ws', send, end: oneOf(random, ['look', 'look', 'half', 'abrupt'] as const), lookMs: between(random, 5, 90) });
}

/** Very many messages at once. */
export async function flood(target: Target, random: Random): Promise<void> {
  const messages = oneOf<() => string[]>(random, [
    () => times(random, 400, () => '{"type":"ping"}'),
    () => times(random, 400, (at) => `{"type":"complete","id":"${at}"}`),
    () => times(random, 150, (at) => subscribe(`${at}`, '{ __typename }')),
    () => times(random, 120, (at) => subscribe(`${at}`, 'subscription { ticked(every: 3000, times: 1000) }')),
    () => times(random, 60, (at) => subscribe(`${at}`, '{ nothing }')),
    () => times(random, 100, (at) => [subscribe('same', 'subscription { ticked(every: 3000, times: 1000) }'), '{"type":"complete","id":"same"}'][at % 2] as string),
    () => times(random, 50, () => INIT),
    () => times(random, 20, () => `{"type":"ping","payload":{"a":"${'x'.repeat(20_000)}"}}`),
  ])();
  const send = [upgrade(), ANSWERED, Buffer.concat([INIT, ...messages].map((message) => text(message)))] as const;
  await target.attempt({ kind: 'floods', send, end: oneOf(random, ['look', 'abrupt'] as const), lookMs: between(random, 5, 120) });
}

function times(random: Random, most: number, make: (at: number) => string): string[] {
  return Array.from({ length: between(random, 2, most) }, (_, at) => make(at));
}

function upgrade(protocol = 'graphql-transport-ws', path = '/graphql'): string {
  return `GET ${path} HTTP/1.1\r\nhost: orchard.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: ${protocol}\r\n\r\n`;
}

function spoiltUpgrade(random: Random): string {
  const sound = upgrade();
  return oneOf<() => string>(random, [
    () => upgrade('graphql-transport-ws', oneOf(random, ['/', '/graphql/', '/graphql/stream', '/graphql?x', '/metrics', '/graphqlx', '/%67raphql', '*'])),
    () => sound.replace('GET', oneOf(random, ['POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT'])),
    () => sound.replace('version: 13', `version: ${oneOf(random, ['12', '', 'x', '13, 8', '-13'])}`),
    () => sound.replace('AAAAAAAAAAAAAAAAAAAAAA==', oneOf(random, ['', 'x', '====', 'A'.repeat(3_000)])),
    () => sound.replace('upgrade: websocket', oneOf(random, ['upgrade: h2c', 'upgrade: WebSocket', 'upgrade: ', 'x: y', 'upgrade: websocket\r\nupgrade: websocket'])),
    () => sound.replace('connection: Upgrade', oneOf(random, ['connection: close', 'connection: upgrade, close', 'connection: Upgrade\r\ncontent-length: 5'])),
    () => sound.replace('HTTP/1.1', 'HTTP/1.0'),
    () => sound.replace('\r\n\r\n', '\r\nsec-websocket-extensions: permessage-deflate; server_max_window_bits=99, x;;y=\r\n\r\n'),
    () => sound.replace('\r\n\r\n', '\r\nsec-websocket-extensions: ,;="\r\n\r\n'),
    () => sound.slice(0, between(random, 1, sound.length)),
  ])();
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer | string;
  /** The bits beside the opcode; by default the final one alone. */
  readonly bits?: number;
  readonly isMasked?: boolean;
  /** What it says of its length, in 8 bytes, where that is not what it has. */
  readonly claims?: bigint;
}

/** A mask of zeros leaves the payload as it is. */
function frame({ opcode, payload, bits = FINAL, isMasked = true, claims }: Frame): Buffer {
  const content = Buffer.from(payload);
  const mask = isMasked ? MASKED : 0;
  let length: Buffer;
  if (claims !== undefined) (length = Buffer.alloc(9, mask | 127)).writeBigUInt64BE(claims, 1);
  else if (content.length < 126) length = Buffer.from([mask | content.length]);
  else if (content.length < 65_536) length = Buffer.from([mask | 126, content.length >> 8, content.length & 0xff]);
  else (length = Buffer.alloc(9, mask | 127)).writeBigUInt64BE(BigInt(content.length), 1);
  return Buffer.concat([Buffer.from([bits | opcode]), length, Buffer.alloc(isMasked ? 4 : 0), content]);
}

const text = (payload: string | Buffer): Buffer => frame({ opcode: OPCODE.text, payload });
const subscribe = (id: string, query: string): string => JSON.stringify({ type: 'subscribe', id, payload: { query } });

const BROKEN_FRAMES: readonly ((random: Random) => Buffer)[] = [
  () => frame({ opcode: OPCODE.text, payload: INIT, isMasked: false }),
  (random) => frame({ opcode: oneOf(random, [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload: 'x' }),
  (random) => frame({ opcode: OPCODE.text, payload: INIT, bits: FINAL | oneOf(random, [0x40, 0x20, 0x10, 0x70]) }),
  () => frame({ opcode: OPCODE.continuation, payload: 'x' }),
  () => Buffer.concat([frame({ opcode: OPCODE.text, payload: '{"type":', bits: 0 }), frame({ opcode: OPCODE.text, payload: '"ping"}' })]),
  () => Buffer.concat([frame({ opcode: OPCODE.text, payload: '{"type":', bits: 0 }), frame({ opcode: OPCODE.ping, payload: 'x' }), frame({ opcode: OPCODE.continuation, payload: '"ping"}' })]),
  () => frame({ opcode: OPCODE.ping, payload: 'x', bits: 0 }),
  () => frame({ opcode: OPCODE.ping, payload: Buffer.alloc(200) }),
  () => frame({ opcode: OPCODE.binary, payload: Buffer.from('{"type":"ping"}') }),
  (random) => text(Buffer.from(Array.from({ length: between(random, 1, 60) }, () => between(random, 0x80, 0xff)))),
  () => text('x'.repeat(70_000)),
  (random) => frame({ opcode: OPCODE.text, payload: 'x', claims: oneOf(random, [1n, 65_537n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) }),
  (random) => frame({ opcode: OPCODE.close, payload: oneOf(random, [Buffer.from([0x03]), Buffer.from([0x03, 0xed]), Buffer.from([0x00, 0x01]), Buffer.from([0xff, 0xff]), Buffer.from([0x03, 0xe8, 0xff, 0xfe]), Buffer.alloc(126), Buffer.alloc(0)]) }),
  (random) => text(INIT).subarray(0, between(random, 1, 20)),
  () => Buffer.concat(Array.from({ length: 200 }, () => frame({ opcode: OPCODE.continuation, payload: '', bits: 0 }))),
  () => Buffer.concat([frame({ opcode: OPCODE.text, payload: '', bits: 0 }), ...Array.from({ length: 300 }, () => frame({ opcode: OPCODE.continuation, payload: ' '.repeat(300), bits: 0 }))]),
  () => Buffer.concat(Array.from({ length: 300 }, () => frame({ opcode: OPCODE.ping, payload: 'x'.repeat(120) }))),
  (random) => Buffer.from(Array.from({ length: between(random, 1, 300) }, () => between(random, 0, 255))),
];

const MESSAGES: readonly ((random: Random) => string)[] = [
  ...Array.from({ length: 5 }, () => (random: Random) => JSON.stringify({ type: 'subscribe', id: oneOf(random, ['1', '2', '3', 'a'.repeat(500), '\ud800', '__proto__', '😀']), payload: oddRequest(random) })),
  (random) => subscribe(oneOf(random, ['1', '2', '3']), oddDocument(random)),
  (random) => subscribe(oneOf(random, ['1', '2', '3']), oneOf(random, VALID)),
  (random) => JSON.stringify({ type: 'subscribe', id: oddValue(random), payload: { query: '{ __typename }' } }),
  (random) => JSON.stringify({ type: 'subscribe', id: '1', payload: oddValue(random) }),
  (random) => JSON.stringify({ type: 'complete', id: random() < 0.5 ? oneOf(random, ['1', '2', 'none']) : oddValue(random), payload: oddValue(random) }),
  (random) => JSON.stringify({ type: oneOf(random, ['ping', 'pong', 'connection_init']), payload: oddValue(random) }),
  (random) => JSON.stringify({ type: oneOf<unknown>(random, ['next', 'error', 'connection_ack', 'start', 'stop', 'connection_terminate', 'ka', '', 'PING', '__proto__', 'toString', null, 1, {}, ['ping']]), id: '1', payload: {} }),
  (random) => JSON.stringify(oddValue(random)) ?? '',
  (random) => oneOf(random, ['', ' ', '{', '[]', 'null', '"ping"', '{"type":"ping"', '{"type":"ping"}{"type":"ping"}', '{"type":"ping","type":"subscribe"}', '\u{feff}{"type":"ping"}', '{"type":"ping","payload":1e999}', '{"type":"connection_init","payload":{"authorization":{}}}', '{"type":"connection_init","payload":{"headers":[1]}}', '{"__proto__":{"type":"ping"}}', '[['.repeat(5_000), `{"type":"ping","payload":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`, `{"type":"subscribe","id":"d","payload":{"query":"{ __typename }","variables":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}}`]),
];
