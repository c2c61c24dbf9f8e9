import { connect, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectSecurely, type ConnectionOptions } from 'node:tls';
import type { Carrier, Exchange } from './exchange.ts';
import { ResponseProblem } from './field-syntax.ts';
import { ResponseReader } from './response-reader.ts';

/** Where the connections of a pool lead. */
export interface Origin {
  readonly isSecure: boolean;
  readonly host: string;
  readonly port: number;
  /** Trusted in place of the authorities that Node knows; PEM. */
  readonly ca: string | undefined;
}

/** What a connection tells the pool. */
export interface ConnectionOwner {
  opened(connection: Connection): void;
  /** It could not be opened, and is gone. */
  notOpened(problem: string, isTimeout: boolean): void;
  /** It can carry another request; -1 when the server does not tell for how many seconds. */
  freed(connection: Connection, keepAliveSeconds: number): void;
  gone(connection: Connection, wasOpen: boolean): void;
  /** It was lost before the answer began. */
  repeat(exchange: Exchange): void;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** Only the pages that answers fill take memory. */
const READ_BUFFER_BYTES = 64 * 1024;

export function originOf(url: URL, ca?: string): Origin {
  const isSecure = url.protocol === 'https:';
  // IPv6 addresses are in brackets.
  return { isSecure, host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || (isSecure ? 443 : 80)), ca };
}

/**
 * One connection, with at most one request under way. The socket reads into a buffer of the connection (`onread`), so that no memory is
 * allocated and no stream is woken for what is read; nor are there promises or closures for each request.
 */
export class Connection implements Carrier {
  /** Of `performance.now()`. */
  idleUntil = 0;
  private isOpen = false;
  private isGone = false;
  private isReused = false;
  private isReferenced = true;
  private exchange: Exchange | undefined = undefined;
  private readonly reader = new ResponseReader();
  private readonly buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  private readonly owner: ConnectionOwner;
  private readonly socket: Socket;
  private readonly connectTimer: NodeJS.Timeout;

  constructor(origin: Origin, owner: ConnectionOwner) {
    this.owner = owner;
    this.socket = openSocket(origin, { buffer: this.buffer, callback: (length) => this.received(length) });
    this.socket.once(origin.isSecure ? 'secureConnect' : 'connect', () => this.becomeOpen());
    this.socket.on('end', () => this.endByServer());
    this.socket.on('error', (error) => this.lose(`no answer (${codeOf(error)})`));
    this.socket.on('close', () => this.lose('no answer (the connection was closed)'));
    this.connectTimer = setTimeout(() => this.lose(`no connection within ${CONNECT_TIMEOUT_MS} ms`, true), CONNECT_TIMEOUT_MS);
  }

  /** Writes the request, whole; the connection must be open and free. */
  send(exchange: Exchange): void {
    exchange.carrier = this;
    this.exchange = exchange;
    this.reader.begin();
    if (!this.isReferenced) this.socket.ref();
    this.isReferenced = true;
    this.socket.write(exchange.bytes, 'latin1');
  }

  /** Does not keep the process running while it is idle. */
  unreference(): void {
    if (this.isReferenced) this.socket.unref();
    this.isReferenced = false;
  }

  /** What else comes would be taken for the answer to the next request: the connection ends with the exchange. */
  abandon(): void {
    this.leave();
  }

  /** Ends it, whatever it carries. */
  destroy(problem: string): void {
    const { exchange } = this;
    this.leave();
    exchange?.fail(problem);
  }

  private becomeOpen(): void {
    if (this.isGone) return;
    clearTimeout(this.connectTimer);
    this.isOpen = true;
    this.owner.opened(this);
  }

  private received(length: number): true {
    const { exchange, reader } = this;
    if (exchange === undefined) {
      // Nobody has asked for these bytes.
      this.leave();
      return true;
    }
    try {
      if (reader.take(this.buffer, length)) this.complete(exchange);
    } catch (error) {
      if (!(error instanceof ResponseProblem)) throw error;
      this.destroy(error.message);
    }
    return true;
  }

  private complete(exchange: Exchange): void {
    const { reader } = this;
    const { status, text } = reader;
    // A request that is not written to its end has been answered all the same (RFC 9112 §9.5); what is left of it must not follow.
    const isFree = reader.isReusable && !reader.hasSurplus && this.socket.writableLength === 0 && !this.isGone;
    reader.forget();
    this.exchange = undefined;
    this.isReused = true;
    if (isFree) this.owner.freed(this, reader.keepAliveSeconds);
    else this.leave();
    exchange.succeed(status, text);
  }

  private endByServer(): void {
    if (this.exchange !== undefined && this.reader.endByClose()) this.complete(this.exchange);
    else this.lose('no answer (the connection was closed)');
  }

  private lose(problem: string, isTimeout = false): void {
    if (this.isGone) return;
    const { exchange, isOpen } = this;
    this.leave();
    if (!isOpen) {
      this.owner.notOpened(problem, isTimeout);
    } else if (exchange !== undefined) {
      if (this.isReused && !this.reader.hasBegun && exchange.mayBeRepeated) this.owner.repeat(exchange);
      else exchange.fail(problem);
    }
  }

  private leave(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.exchange = undefined;
    clearTimeout(this.connectTimer);
    this.reader.forget();
    this.socket.destroy();
    this.owner.gone(this, this.isOpen);
  }
}

function openSocket({ isSecure, host, port, ca }: Origin, onread: OnReadOpts): Socket {
  if (!isSecure) return connect({ host, port, noDelay: true, onread });
  // The certificate is verified for the host; only names can be asked for by SNI (RFC 6066 §3).
  const options: ConnectionOptions & { readonly onread: OnReadOpts } = { host, port, onread, ca, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) };
  return connectSecurely(options).setNoDelay(true);
}

/** Names the reason; messages hold addresses. */
function codeOf(error: Error): string {
  return (error as { code?: string }).code ?? error.name;
}
