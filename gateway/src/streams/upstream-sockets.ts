import type { SubgraphEndpoint } from '../config.ts';
import { createUpstreamSocket, type UpstreamParts, type UpstreamSocket } from './upstream-socket.ts';

/** The sockets to all subgraphs that subscriptions of clients go over. */
export interface UpstreamSockets {
  /** The socket to subscribe over, the least loaded of its subgraph; undefined when the supergraph in force has no such subgraph. */
  socketFor(subgraph: string): UpstreamSocket | undefined;
  /** Whether the socket leads to where its subgraph is now. */
  isCurrent(socket: UpstreamSocket): boolean;
  stop(): void;
}

/** To one subgraph. */
const SOCKETS_MAX = 4;
/** On each socket, before another one is opened. */
const SUBSCRIPTIONS_BEFORE_ANOTHER = 500;
const LOOK_INTERVAL_MS = 5_000;

/** Opens no socket yet. After a reload that moved a subgraph, subscriptions under way stay where they are until they end. */
export function createUpstreamSockets(parts: UpstreamParts & { readonly endpoint: (subgraph: string) => SubgraphEndpoint | undefined }): UpstreamSockets {
  const { endpoint } = parts;
  const pools = new Map<string, UpstreamSocket[]>();
  const isAt = (socket: UpstreamSocket, wanted: SubgraphEndpoint | undefined): boolean => socket.endpoint.url === wanted?.url && socket.endpoint.secret === wanted.secret;
  const timer = setInterval(() => {
    for (const [subgraph, sockets] of pools) {
      for (const socket of sockets) socket.look();
      const wanted = endpoint(subgraph);
      const kept = sockets.filter((socket) => socket.size > 0 || isAt(socket, wanted));
      for (const socket of sockets) if (!kept.includes(socket)) socket.stop();
      pools.set(subgraph, kept);
    }
  }, LOOK_INTERVAL_MS).unref();
  return {
    socketFor: (subgraph) => {
      const wanted = endpoint(subgraph);
      if (wanted === undefined) return undefined;
      const pool = pools.get(subgraph) ?? [];
      const usable = pool.filter((socket) => isAt(socket, wanted));
      const least = usable.reduce<UpstreamSocket | undefined>((best, socket) => (best === undefined || socket.size < best.size ? socket : best), undefined);
      if (least !== undefined && (least.size < SUBSCRIPTIONS_BEFORE_ANOTHER || usable.length >= SOCKETS_MAX)) return least;
      const opened = createUpstreamSocket(wanted, parts);
      pools.set(subgraph, [...pool, opened]);
      return opened;
    },
    isCurrent: (socket) => isAt(socket, endpoint(socket.endpoint.name)),
    stop: () => {
      clearInterval(timer);
      for (const socket of [...pools.values()].flat()) socket.stop();
    },
  };
}
