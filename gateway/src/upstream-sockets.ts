import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import { createClient, type Client, type SubscribePayload } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { SubgraphEndpoint } from './config.ts';
import type { EventSink } from './event-stream.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { SUBGRAPH_ANSWER_MAX_BYTES, SUBGRAPH_CONNECT_TIMEOUT_MS } from './limits.ts';
import type { SubgraphAnswer, SubgraphError } from './operation-context.ts';

/** Subscriptions at the subgraphs: one socket per subgraph carries those of all clients. */
export interface UpstreamSockets {
  /**
   * Subscribes; the socket is opened when it is needed. When it is lost, it is opened again and the subscription is made
   * anew there; the sink hears of it only if that takes longer than a minute. Events of the time between are lost.
   * @returns how to unsubscribe.
   */
  subscribe(subgraph: string, payload: SubscribePayload, sink: EventSink<SubgraphAnswer, readonly SubgraphError[]>): () => void;
  stop(): void;
}

interface UpstreamParts {
  readonly endpoint: (subgraph: string) => SubgraphEndpoint | undefined;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** A new subscription fails after this when there is no socket. */
const FIRST_CONNECT_MAX_MS = 5_000;
/** Subscriptions under way fail after this without a socket. */
const RECONNECT_MAX_MS = 60_000;
const RETRY_WAIT_MIN_MS = 50;
const RETRY_WAIT_MAX_MS = 2_000;
const RETRY_JITTER_MS = 50;
/** Short: opening costs two milliseconds, and the client's timer for this cannot be cancelled when the process stops. */
const IDLE_CLOSE_MS = 200;
const PING_INTERVAL_MS = 10_000;
const PONG_TIMEOUT_MS = 5_000;

/** Opens no socket yet. */
export function createUpstreamSockets({ endpoint, metrics, logger }: UpstreamParts): UpstreamSockets {
  const upstreams = new Map<string, Upstream>();
  const everOpened: Upstream[] = [];
  const upstreamFor = (subgraph: string): Upstream | undefined => {
    const wanted = endpoint(subgraph);
    if (wanted === undefined) return undefined;
    const known = upstreams.get(subgraph);
    if (known?.url === wanted.url) return known;
    // After a reload that moved the subgraph, subscriptions under way stay where they are until they end.
    const opened = openUpstream(wanted, metrics, logger);
    upstreams.set(subgraph, opened);
    everOpened.push(opened);
    return opened;
  };
  return {
    subscribe: (subgraph, payload, sink) => {
      const upstream = upstreamFor(subgraph);
      if (upstream !== undefined) return upstream.subscribe(payload, sink);
      sink.fail([unavailable()]);
      return () => {};
    },
    stop: () => {
      for (const upstream of everOpened) upstream.stop();
    },
  };
}

interface Upstream {
  readonly url: string;
  subscribe(payload: SubscribePayload, sink: EventSink<SubgraphAnswer, readonly SubgraphError[]>): () => void;
  stop(): void;
}

function openUpstream(endpoint: SubgraphEndpoint, metrics: GatewayMetrics, logger: Logger): Upstream {
  const active = new Set<ActiveSubscription>();
  const connection = watchConnection(endpoint.name, active, metrics, logger);
  const client = createUpstreamClient(endpoint, connection);
  return {
    url: endpoint.url,
    subscribe: (payload, sink) => {
      const end = (tell: () => void): void => {
        if (!active.delete(subscription)) return;
        clearTimeout(firstConnect);
        tell();
        // Also after an error: the client counts a subscription that a lost socket ended until it is disposed of. Not at
        // once: if the message that led here and a `complete` came together, the client would count this one off twice.
        queueMicrotask(() => dispose());
      };
      const subscription: ActiveSubscription = { giveUp: () => end(() => sink.fail([unavailable()])) };
      const firstConnect = setTimeout(() => connection.giveUpUnlessOpen([subscription]), FIRST_CONNECT_MAX_MS);
      active.add(subscription);
      const dispose = client.subscribe(payload, {
        next: (answer) => {
          if (active.has(subscription)) sink.event(answer);
        },
        error: (error) => {
          if (isErrorList(error)) return end(() => sink.fail(error));
          logger.error({ subgraph: endpoint.name, reason: closeReason(error) }, 'subscriptions at a subgraph ended with their socket');
          return subscription.giveUp();
        },
        complete: () => end(() => sink.end()),
      });
      return () => end(() => {});
    },
    stop: () => {
      connection.stop();
      for (const subscription of active) subscription.giveUp();
      client.terminate();
    },
  };
}

interface ActiveSubscription {
  giveUp(): void;
}

interface Connection extends UpstreamListeners {
  giveUpUnlessOpen(subscriptions: Iterable<ActiveSubscription>): void;
  stop(): void;
}

/** Tells of the socket to one subgraph, and gives up on the subscriptions that have been without it for too long. */
function watchConnection(subgraph: string, active: ReadonlySet<ActiveSubscription>, metrics: GatewayMetrics, logger: Logger): Connection {
  let state: 'open' | 'closed' | 'stopped' = 'closed';
  let lastReason = '';
  let lostTimer: NodeJS.Timeout | undefined;
  const giveUpUnlessOpen = (subscriptions: Iterable<ActiveSubscription>): void => {
    if (state === 'open') return;
    const given = [...subscriptions];
    logger.error({ subgraph, reason: lastReason, subscriptions: given.length }, 'no socket to a subgraph can be opened, its subscriptions end');
    for (const subscription of given) subscription.giveUp();
  };
  return {
    connected: (again) => {
      state = 'open';
      lastReason = '';
      clearTimeout(lostTimer);
      lostTimer = undefined;
      metrics.upstreamSockets.set({ subgraph }, 1);
      logger.info({ subgraph, subscriptions: active.size }, again ? 'the socket to a subgraph is open again' : 'the socket to a subgraph is open');
    },
    closed: (reason) => {
      if (state === 'stopped') return;
      // An error tells more than the closing (1006) that follows it.
      if (lastReason === '') lastReason = reason;
      if (state === 'open' && active.size > 0) logger.warn({ subgraph, reason, subscriptions: active.size }, 'the socket to a subgraph was lost, opening another');
      state = 'closed';
      metrics.upstreamSockets.set({ subgraph }, 0);
      if (active.size === 0) return;
      lostTimer ??= setTimeout(() => {
        lostTimer = undefined;
        giveUpUnlessOpen(active);
      }, RECONNECT_MAX_MS).unref();
    },
    giveUpUnlessOpen,
    stop: () => {
      state = 'stopped';
      clearTimeout(lostTimer);
      metrics.upstreamSockets.set({ subgraph }, 0);
    },
  };
}

interface UpstreamListeners {
  readonly connected: (again: boolean) => void;
  readonly closed: (reason: string) => void;
}

function createUpstreamClient({ url, secret }: SubgraphEndpoint, listeners: UpstreamListeners): Client {
  // graphql-ws makes the socket itself, of the class it is given: so the secret gets into the upgrade request's headers.
  class SubgraphSocket extends WebSocket {
    constructor(address: string, protocols: string | string[]) {
      super(address, protocols, {
        headers: { [GATEWAY_SECRET_HEADER]: secret },
        maxPayload: SUBGRAPH_ANSWER_MAX_BYTES,
        handshakeTimeout: SUBGRAPH_CONNECT_TIMEOUT_MS,
        perMessageDeflate: false,
      });
    }
  }
  let pongTimer: NodeJS.Timeout | undefined;
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: SubgraphSocket,
    lazy: true,
    lazyCloseTimeout: IDLE_CLOSE_MS,
    keepAlive: PING_INTERVAL_MS,
    connectionAckWaitTimeout: SUBGRAPH_CONNECT_TIMEOUT_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    // A subgraph that starts refuses connections; the time limits above end the attempts.
    shouldRetry: () => true,
    retryWait: async (retries) => {
      const waitMs = Math.min(RETRY_WAIT_MIN_MS * 2 ** retries, RETRY_WAIT_MAX_MS) + Math.random() * RETRY_JITTER_MS;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    },
    on: {
      connected: (_socket, _payload, again) => listeners.connected(again),
      closed: (event) => {
        clearTimeout(pongTimer);
        listeners.closed(closeReason(event));
      },
      error: (event) => listeners.closed(closeReason(event)),
      ping: (received) => {
        if (received) return;
        clearTimeout(pongTimer);
        pongTimer = setTimeout(() => client.terminate(), PONG_TIMEOUT_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(pongTimer);
      },
    },
  });
  return client;
}

function isErrorList(error: unknown): error is SubgraphError[] {
  return Array.isArray(error) && error.length > 0;
}

function unavailable(): SubgraphError {
  return {
    message: 'A part of the system does not answer right now: subscribe again in a few seconds',
    extensions: { code: 'SERVICE_UNAVAILABLE' satisfies ErrorCode },
  };
}

/** A close code and reason, or an error's message without the address that it was about. */
function closeReason(event: unknown): string {
  const { code, reason, message, error } = event as { code?: number; reason?: string; message?: string; error?: { code?: string } };
  if (typeof code === 'number') return `${code} ${reason ?? ''}`.trim();
  return error?.code ?? message ?? String(event);
}
