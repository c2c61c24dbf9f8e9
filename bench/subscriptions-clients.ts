import { performance } from 'node:perf_hooks';
import { openLeanSocket, type LeanSocket } from './subscriptions-socket.ts';

/** The clients of the bench, in a process of their own; told what to do over the process's channel. */
interface Opening {
  readonly port: number;
  readonly first: number;
  readonly count: number;
  /** One for each, or none. */
  readonly tokens: readonly string[];
}

export const CHANGED = 'subscription Watch($account: ID!) { changed(account: $account) { account balance at } }';
export const NEWS = 'subscription News { news { id text at } }';
const AT_ONCE = 100;
const CLIENTS_OF_AN_ADDRESS = 20_000;

const open: LeanSocket[] = [];
let fanOut = { expected: 0, seen: 0 };
let latencies: number[] = [];
let problem: string | undefined;

async function openAll({ port, first, count, tokens }: Opening): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, count) }, async () => {
      while (next < count) {
        const n = next;
        next += 1;
        open.push(await openOne(port, first + n, tokens[n]));
      }
    }),
  );
}

function openOne(port: number, n: number, token: string | undefined): Promise<LeanSocket> {
  return new Promise((resolve, reject) => {
    let opened: LeanSocket | undefined;
    openLeanSocket({
      port,
      localAddress: `127.0.0.${2 + Math.floor(n / CLIENTS_OF_AN_ADDRESS)}`,
      onOpen: (socket) => {
        opened = socket;
        socket.send(JSON.stringify({ type: 'connection_init', payload: token === undefined ? {} : { authorization: `Bearer ${token}` } }));
      },
      onText: (text) => {
        if (!text.startsWith('{"type":"connection_ack"') || opened === undefined) return heard(text, String(n));
        opened.send(JSON.stringify({ id: 'c', type: 'subscribe', payload: { query: CHANGED, operationName: 'Watch', variables: { account: String(n) } } }));
        return resolve(opened);
      },
      onClose: (why) => {
        problem ??= why;
        reject(new Error(why));
      },
    });
  });
}

function heard(text: string, account: string): void {
  if (text.startsWith('{"id":"n","type":"next"')) {
    fanOut.seen += 1;
    if (fanOut.seen === fanOut.expected) {
      const { at } = (JSON.parse(text) as { payload: { data: { news: { at: number } } } }).payload.data.news;
      process.send?.({ fannedOutMs: now() - at });
    }
  } else if (text.startsWith('{"id":"c","type":"next"')) {
    const { changed } = (JSON.parse(text) as { payload: { data: { changed: { account: string; at: number } } } }).payload.data;
    if (changed.account !== account) problem ??= `account ${account} was told of ${changed.account}`;
    latencies.push(now() - changed.at);
  } else if (!text.startsWith('{"type":')) problem ??= text;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

process.on('message', (message) => {
  const { ask, opening, count = 0 } = message as { ask: string; opening?: Opening; count?: number };
  if (ask === 'open' && opening !== undefined) {
    openAll(opening).then(
      () => process.send?.({ opened: opening.count }),
      (error: unknown) => process.send?.({ failed: String(error) }),
    );
  }
  if (ask === 'news') for (const socket of open.slice(0, count)) socket.send(JSON.stringify({ id: 'n', type: 'subscribe', payload: { query: NEWS, operationName: 'News' } }));
  if (ask === 'expect') {
    fanOut = { expected: count, seen: 0 };
    process.send?.({ expecting: count });
  }
  if (ask === 'latencies') {
    process.send?.({ latencies, problem });
    latencies = [];
  }
  if (ask === 'close') {
    problem = 'closing';
    for (const socket of open.splice(0)) socket.destroy();
    process.send?.({ closed: true });
  }
});
