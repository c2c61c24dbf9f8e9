import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { WebSocketServer, type WebSocket } from 'ws';

/**
 * A canned subgraph in a process of its own: it speaks graphql-transport-ws by hand, and reads no document. Told over the process's channel to
 * `broadcast`, it sends one event to all who watch the news; to `drip`, so many events a second, each to one account.
 */
interface Subscriber {
  readonly socket: WebSocket;
  readonly id: string;
}

const news = new Map<string, Subscriber>();
const accounts = new Map<string, Subscriber>();
const keys = new Map<string, () => void>();
const server = createServer((_request, response) => response.end('{}'));
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
let lastSocket = 0;

sockets.on('connection', (socket) => {
  lastSocket += 1;
  const mine = `${lastSocket} `;
  socket.on('message', (data) => {
    const { type, id, payload } = JSON.parse((data as Buffer).toString()) as { type: string; id: string; payload?: { query: string; variables?: { account?: string } } };
    if (type === 'connection_init') socket.send('{"type":"connection_ack"}');
    if (type === 'ping') socket.send('{"type":"pong"}');
    if (type === 'subscribe') subscribe(mine + id, { socket, id }, payload?.variables?.account);
    if (type === 'complete') keys.get(mine + id)?.();
  });
});

function subscribe(key: string, subscriber: Subscriber, account: string | undefined): void {
  const [all, name] = account === undefined ? [news, key] : [accounts, account];
  all.set(name, subscriber);
  keys.set(key, () => {
    all.delete(name);
    keys.delete(key);
  });
}

function next({ socket, id }: Subscriber, data: string): void {
  socket.send(`{"id":"${id}","type":"next","payload":{"data":${data}}}`);
}

function broadcast(round: number): void {
  const event = `{"news":{"id":"${round}","text":"The parrot has spoken, and everybody may hear it","at":${now()}}}`;
  for (const subscriber of news.values()) next(subscriber, event);
}

/** Evenly over time, and each due event at its own time also when the timer is late. */
async function drip(perSecond: number, seconds: number): Promise<void> {
  const all = [...accounts.keys()];
  const startedAt = now();
  for (let sent = 0; sent < perSecond * seconds; sent += 1) {
    const dueAt = startedAt + (sent * 1_000) / perSecond;
    while (now() < dueAt) await new Promise((resolve) => setTimeout(resolve, Math.max(dueAt - now(), 0)));
    const account = all[Math.floor(Math.random() * all.length)] as string;
    const subscriber = accounts.get(account);
    if (subscriber !== undefined) next(subscriber, `{"changed":{"account":"${account}","balance":${sent},"at":${now()}}}`);
  }
  process.send?.({ dripped: perSecond * seconds });
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

process.on('message', (message) => {
  const { ask, round = 0, perSecond = 0, seconds = 0 } = message as { ask: string; round?: number; perSecond?: number; seconds?: number };
  if (ask === 'count') process.send?.({ count: news.size + accounts.size });
  if (ask === 'broadcast') broadcast(round);
  if (ask === 'drip') void drip(perSecond, seconds);
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
