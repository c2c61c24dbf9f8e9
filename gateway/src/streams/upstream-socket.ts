import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import type { Logger } from '@ates/service-kit/logger';
import { WebSocket, type RawData } from 'ws';
import type { SubgraphEndpoint } from '../config.ts';
import type { GatewayMetrics } from '../gateway-metrics.ts';
import type { SubgraphAnswer, SubgraphError } from '../operation-context.ts';
import { SUBGRAPH_ANSWER_MAX_BYTES } from '../http-post.ts';
import { unavailable } from './stream-errors.ts';
import { readSubgraphMessage, type SubgraphMessage } from './upstream-messages.ts';

/** A subscription at a subgraph. Nothing is told after `refused` and `ended`. */
export interface UpstreamSubscriber {
  /** The GraphQL request; asked for each time the subgraph is subscribed to. */
  request(): unknown;
  event(answer: SubgraphAnswer): void;
  refused(errors: readonly SubgraphError[]): void;
  ended(): void;
}

/**
 * One socket to a subgraph that carries the subscriptions of many clients. It is opened when the first one comes; when it is lost,
 * another is opened and all are subscribed to again. Events of the time between are lost.
 */
export interface UpstreamSocket {
  readonly endpoint: SubgraphEndpoint;
  readonly size: number;
  /** @returns by what to unsubscribe */
  subscribe(subscriber: UpstreamSubscriber): number;
  unsubscribe(id: number): void;
  /** To be called every five seconds: a socket over which nothing comes is pinged, then given up; one without subscriptions is closed. */
  look(): void;
  /** Refuses what is subscribed. */
  stop(): void;
}

export interface UpstreamParts {
  readonly metrics: Pick<GatewayMetrics, 'upstreamSockets'>;
  readonly logger: Logger;
}

interface Link {
  readonly endpoint: SubgraphEndpoint;
  readonly parts: UpstreamParts;
  readonly subscribers: Map<number, UpstreamSubscriber>;
  /** Those that came while the socket was not open, oldest first. */
  newcomers: { readonly id: number; readonly since: number }[];
  newcomersTimer: NodeJS.Timeout | undefined;
  retryTimer: NodeJS.Timeout | undefined;
  state: 'closed' | 'connecting' | 'open' | 'waiting' | 'stopped';
  socket: WebSocket | undefined;
  lastId: number;
  openedAt: number;
  lostAt: number | undefined;
  attempts: number;
  silentLooks: number;
  idleLooks: number;
  reason: string;
}

/** A new subscription fails after this when there is no socket. */
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_CONNECT_MAX_MS = 5_000;
/** Subscriptions under way fail after this without a socket that holds. */
const RECONNECT_MAX_MS = 60_000;
/** A socket that was open for so long has held. */
const STABLE_MS = 5_000;
const RETRY_WAIT_MIN_MS = 50;
const RETRY_WAIT_MAX_MS = 2_000;
const RETRY_JITTER_MS = 50;
const SILENT_LOOKS_UNTIL_PING = 2;
const IDLE_LOOKS_UNTIL_CLOSE = 2;
const NORMAL_CLOSURE = 1000;
const BAD_MESSAGE = 4400;

/** Opens no socket yet. */
export function createUpstreamSocket(endpoint: SubgraphEndpoint, parts: UpstreamParts): UpstreamSocket {
  const link: Link = {
    endpoint,
    parts,
    subscribers: new Map(),
    newcomers: [],
    newcomersTimer: undefined,
    retryTimer: undefined,
    state: 'closed',
    socket: undefined,
    lastId: 0,
    openedAt: 0,
    lostAt: undefined,
    attempts: 0,
    silentLooks: 0,
    idleLooks: 0,
    reason: '',
  };
  return {
    endpoint,
    get size() {
      return link.subscribers.size;
    },
    subscribe: (subscriber) => subscribe(link, subscriber),
    unsubscribe: (id) => {
      if (link.subscribers.delete(id) && link.state === 'open') link.socket?.send(`{"id":"${id}","type":"complete"}`);
    },
    look: () => look(link),
    stop: () => stop(link),
  };
}

function subscribe(link: Link, subscriber: UpstreamSubscriber): number {
  link.lastId += 1;
  const id = link.lastId;
  link.subscribers.set(id, subscriber);
  link.idleLooks = 0;
  if (link.state === 'open') send(link, id, subscriber);
  else {
    link.newcomers.push({ id, since: Date.now() });
    link.newcomersTimer ??= setTimeout(giveUpNewcomers, FIRST_CONNECT_MAX_MS, link).unref();
    if (link.state === 'closed') connect(link);
  }
  return id;
}

function send(link: Link, id: number, subscriber: UpstreamSubscriber): void {
  link.socket?.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: subscriber.request() }));
}

function connect(link: Link): void {
  const { endpoint } = link;
  link.state = 'connecting';
  link.attempts += 1;
  const socket = new WebSocket(endpoint.url.replace(/^http/, 'ws'), 'graphql-transport-ws', {
    headers: endpoint.secret === undefined ? {} : { [GATEWAY_SECRET_HEADER]: endpoint.secret },
    maxPayload: SUBGRAPH_ANSWER_MAX_BYTES,
    handshakeTimeout: CONNECT_TIMEOUT_MS,
    perMessageDeflate: false,
  });
  link.socket = socket;
  const unacknowledged = setTimeout(() => socket.terminate(), CONNECT_TIMEOUT_MS).unref();
  socket.on('open', () => socket.send('{"type":"connection_init"}'));
  socket.on('message', (data: RawData) => {
    link.silentLooks = 0;
    const message = readSubgraphMessage((data as Buffer).toString());
    if (message === null) return socket.close(BAD_MESSAGE, 'This is no message of graphql-transport-ws');
    if (message.type === 'connection_ack') clearTimeout(unacknowledged);
    return receive(link, message);
  });
  // An error tells more than the closing (1006) that follows it.
  let problem = '';
  socket.on('error', (error) => {
    problem = (error as { code?: string }).code ?? error.message;
  });
  socket.once('close', (code, reason) => {
    clearTimeout(unacknowledged);
    if (link.socket === socket) lost(link, problem === '' ? `${code} ${String(reason)}`.trim() : problem);
  });
}

function receive(link: Link, message: SubgraphMessage): void {
  switch (message.type) {
    case 'connection_ack':
      return opened(link);
    case 'ping':
      return link.socket?.send('{"type":"pong"}');
    case 'pong':
      return undefined;
    case 'next':
      return link.subscribers.get(message.id)?.event(message.answer);
    case 'error':
    case 'complete': {
      const subscriber = link.subscribers.get(message.id);
      link.subscribers.delete(message.id);
      return message.type === 'error' ? subscriber?.refused(message.errors) : subscriber?.ended();
    }
    default:
      return message satisfies never;
  }
}

function opened(link: Link): void {
  if (link.state !== 'connecting') return;
  const { endpoint, subscribers, parts } = link;
  link.state = 'open';
  link.openedAt = Date.now();
  link.silentLooks = 0;
  link.newcomers = [];
  clearTimeout(link.newcomersTimer);
  link.newcomersTimer = undefined;
  parts.metrics.upstreamSockets.inc({ subgraph: endpoint.name });
  const again = link.lostAt !== undefined;
  parts.logger.info({ subgraph: endpoint.name, subscriptions: subscribers.size }, again ? 'a socket to a subgraph is open again' : 'a socket to a subgraph is open');
  for (const [id, subscriber] of subscribers) send(link, id, subscriber);
}

function lost(link: Link, reason: string): void {
  const { endpoint, subscribers, parts } = link;
  const now = Date.now();
  link.socket = undefined;
  if (link.state === 'open') {
    parts.metrics.upstreamSockets.dec({ subgraph: endpoint.name });
    if (subscribers.size > 0) parts.logger.warn({ subgraph: endpoint.name, reason, subscriptions: subscribers.size }, 'a socket to a subgraph was lost, opening another');
    if (now - link.openedAt >= STABLE_MS || link.lostAt === undefined) {
      link.attempts = 0;
      link.lostAt = undefined;
    }
  }
  link.reason = reason;
  if (link.state === 'stopped') return;
  link.lostAt ??= now;
  if (now - link.lostAt > RECONNECT_MAX_MS) giveUp(link, [...subscribers.keys()]);
  if (subscribers.size === 0) {
    link.state = 'closed';
    link.attempts = 0;
    link.lostAt = undefined;
    return;
  }
  link.state = 'waiting';
  const waitMs = Math.min(RETRY_WAIT_MIN_MS * 2 ** link.attempts, RETRY_WAIT_MAX_MS) + Math.random() * RETRY_JITTER_MS;
  link.retryTimer = setTimeout(connect, waitMs, link).unref();
}

function giveUpNewcomers(link: Link): void {
  const due = Date.now() - FIRST_CONNECT_MAX_MS;
  const given = link.newcomers.filter(({ since }) => since <= due);
  link.newcomers = link.newcomers.filter(({ since }) => since > due);
  const next = link.newcomers[0];
  link.newcomersTimer = next === undefined ? undefined : setTimeout(giveUpNewcomers, next.since - due, link).unref();
  giveUp(link, given.map(({ id }) => id));
}

function giveUp(link: Link, ids: readonly number[]): void {
  const given = ids.filter((id) => link.subscribers.has(id));
  if (given.length === 0) return;
  const { endpoint, parts, reason } = link;
  if (link.state !== 'stopped') parts.logger.error({ subgraph: endpoint.name, reason, subscriptions: given.length }, 'no socket to a subgraph can be opened, its subscriptions end');
  for (const id of given) {
    const subscriber = link.subscribers.get(id);
    link.subscribers.delete(id);
    subscriber?.refused([unavailable()]);
  }
}

function look(link: Link): void {
  if (link.state !== 'open') return;
  link.idleLooks = link.subscribers.size === 0 ? link.idleLooks + 1 : 0;
  if (link.idleLooks >= IDLE_LOOKS_UNTIL_CLOSE) return link.socket?.close(NORMAL_CLOSURE);
  link.silentLooks += 1;
  if (link.silentLooks > SILENT_LOOKS_UNTIL_PING) return link.socket?.terminate();
  if (link.silentLooks === SILENT_LOOKS_UNTIL_PING) link.socket?.send('{"type":"ping"}');
  return undefined;
}

function stop(link: Link): void {
  const wasOpen = link.state === 'open';
  link.state = 'stopped';
  clearTimeout(link.newcomersTimer);
  clearTimeout(link.retryTimer);
  if (wasOpen) link.parts.metrics.upstreamSockets.dec({ subgraph: link.endpoint.name });
  giveUp(link, [...link.subscribers.keys()]);
  link.socket?.terminate();
}
