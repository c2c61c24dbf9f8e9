import { performance } from 'node:perf_hooks';
import type { HttpPost } from '../http-post.ts';
import { Connection, originOf, type ConnectionOwner, type Origin } from './connection.ts';
import { Exchange, type Done } from './exchange.ts';
import { createHeadStart, joinHeaders, joinRequest } from './request-head.ts';
import { WaitingLine } from './waiting-line.ts';

export interface HttpPool {
  /** Posts over a connection that is kept alive, reads the answer whole, up to 16 MiB, and calls `done` once, maybe at once. */
  post(request: HttpPost, done: Done): void;
  /** Takes nothing new, and resolves when all under way is over; after `deadlineMs` it is ended. */
  close(deadlineMs?: number): Promise<void>;
  /** Ends all at once. */
  destroy(): void;
}

export interface HttpPoolSettings {
  /** Where to post: `http:` or `https:`; user and password in it are not sent. */
  readonly url: string;
  /** Of every post. */
  readonly headers: readonly string[];
  /** At most. */
  readonly connections: number;
  /** Trusted in place of the authorities that Node knows; PEM. */
  readonly ca?: string;
}

const WAITING_MAX = 10_000;
const IDLE_MS = 30_000;
/** The server may end it when the request is on its way: it is told in whole seconds, and left this much earlier. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
const SWEEP_MS = 1_000;
const CONNECTION_ATTEMPTS_MAX = 2;
const CLOSE_DEADLINE_MS = 10_000;
const CLOSED = 'the connections are closed';

/** @throws TypeError for what is no address, or headers that cannot be sent */
export function createHttpPool(settings: HttpPoolSettings): HttpPool {
  return new Pool(settings);
}

/**
 * Requests are not written when they come but when the sockets have been heard (in the check phase of the event loop), and a connection that was
 * freed rests until they have been heard once more: one that the server has ended, or on which it has sent more than it should, is then
 * known as such and not used again. Otherwise the surplus of one answer could be taken for the next.
 */
class Pool implements HttpPool, ConnectionOwner {
  private readonly origin: Origin;
  private readonly headStart: string;
  private readonly connectionsMax: number;
  private readonly waiting = new WaitingLine();
  private readonly connections = new Set<Connection>();
  /** The one used last is used first: so the others can end. */
  private readonly idle: Connection[] = [];
  /** Freed, and not heard since. */
  private readonly resting: Connection[] = [];
  private connecting = 0;
  private isSendingPlanned = false;
  private isSweepPlanned = false;
  private isDestroyed = false;
  private closing: PromiseWithResolvers<void> | undefined = undefined;
  private readonly sendWaiting = (): void => this.send();
  private readonly sweep = (): void => this.endIdle();

  constructor({ url, headers, connections, ca }: HttpPoolSettings) {
    const address = new URL(url);
    if (address.protocol !== 'http:' && address.protocol !== 'https:') throw new TypeError('only http: and https: can be posted to');
    this.origin = originOf(address, ca);
    this.headStart = createHeadStart(address, headers);
    this.connectionsMax = connections;
  }

  post(request: HttpPost, done: Done): void {
    let bytes: string | Buffer;
    try {
      bytes = joinRequest(this.headStart + joinHeaders(request.headers), request.body);
    } catch (error) {
      return done({ problem: (error as Error).message });
    }
    if (this.closing !== undefined) return done({ problem: CLOSED });
    if (this.waiting.count >= WAITING_MAX) return done({ problem: `more than ${WAITING_MAX} requests wait for a connection` });
    const exchange = new Exchange(bytes, request, done);
    if (!exchange.begin()) return undefined;
    this.waiting.add(exchange);
    return this.goOn();
  }

  close(deadlineMs = CLOSE_DEADLINE_MS): Promise<void> {
    if (this.closing === undefined) {
      this.closing = Promise.withResolvers();
      const timer = setTimeout(() => this.destroy(), deadlineMs);
      void this.closing.promise.then(() => clearTimeout(timer));
      this.finishClosing();
    }
    return this.closing.promise;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.closing ??= Promise.withResolvers();
    for (let exchange = this.waiting.take(); exchange !== undefined; exchange = this.waiting.take()) exchange.fail(CLOSED);
    for (const connection of this.connections) connection.destroy(CLOSED);
    this.finishClosing();
  }

  opened(connection: Connection): void {
    this.connecting -= 1;
    this.freed(connection, -1);
  }

  notOpened(problem: string, isTimeout: boolean): void {
    const { first } = this.waiting;
    if (first === undefined) return;
    first.failedConnections += 1;
    if (!isTimeout && first.failedConnections < CONNECTION_ATTEMPTS_MAX) return;
    this.waiting.abandon(first);
    first.fail(problem);
    this.goOn();
  }

  freed(connection: Connection, keepAliveSeconds: number): void {
    const idleMs = keepAliveSeconds === -1 ? IDLE_MS : Math.min(IDLE_MS, keepAliveSeconds * 1_000 - KEEP_ALIVE_MARGIN_MS);
    if (idleMs <= 0) return connection.destroy(CLOSED);
    connection.idleUntil = performance.now() + idleMs;
    this.resting.push(connection);
    return this.goOn();
  }

  gone(connection: Connection, wasOpen: boolean): void {
    this.connections.delete(connection);
    if (!wasOpen) this.connecting -= 1;
    remove(this.idle, connection);
    remove(this.resting, connection);
    this.goOn();
  }

  repeat(exchange: Exchange): void {
    exchange.mayBeRepeated = false;
    if (this.isDestroyed) return exchange.fail(CLOSED);
    this.waiting.addFirst(exchange);
    return this.goOn();
  }

  private goOn(): void {
    if ((this.waiting.count > 0 || this.resting.length > 0) && !this.isSendingPlanned) {
      this.isSendingPlanned = true;
      setImmediate(this.sendWaiting);
    }
    if (this.idle.length > 0 && !this.isSweepPlanned) {
      this.isSweepPlanned = true;
      setTimeout(this.sweep, SWEEP_MS).unref();
    }
    if (this.closing !== undefined) this.finishClosing();
  }

  private send(): void {
    this.isSendingPlanned = false;
    const { idle, resting } = this;
    const now = idle.length > 0 ? performance.now() : 0;
    while (this.waiting.count > 0) {
      const connection = idle.pop();
      if (connection === undefined) break;
      const exchange = connection.idleUntil > now ? this.waiting.take() : undefined;
      if (exchange === undefined) connection.destroy(CLOSED);
      else connection.send(exchange);
    }
    while (this.connecting + resting.length < this.waiting.count && this.connections.size < this.connectionsMax) {
      this.connecting += 1;
      this.connections.add(new Connection(this.origin, this));
    }
    const hasRested = resting.length > 0;
    for (const connection of resting) idle.push(connection);
    resting.length = 0;
    // Those that wait for a connection to be free or open are called again by it.
    if (hasRested) this.goOn();
    else if (this.closing !== undefined) this.finishClosing();
  }

  private endIdle(): void {
    this.isSweepPlanned = false;
    const now = performance.now();
    for (const connection of this.idle.filter(({ idleUntil }) => idleUntil <= now)) connection.destroy(CLOSED);
    for (const connection of this.idle) connection.unreference();
    this.goOn();
  }

  /** What is under way has a connection, or waits for one. */
  private finishClosing(): void {
    if (this.waiting.count > 0) return;
    if (this.connections.size === this.connecting + this.idle.length + this.resting.length) {
      this.closing?.resolve();
      for (const connection of this.connections) connection.destroy(CLOSED);
    }
  }
}

function remove(connections: Connection[], connection: Connection): void {
  const at = connections.lastIndexOf(connection);
  if (at !== -1) connections.splice(at, 1);
}
