import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { clientOrigin, type ClientOrigin } from '@ates/service-kit/client-origin';

/** IPv4 as IPv6 sockets show it. */
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const WITH_PORT = /^(?:\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/;
/** What a header may hold. A client's user-agent may be anything. */
const NO_HEADER_TEXT = /[^\t\x20-\x7e\x80-\xff]/g;

/**
 * From where a request comes. Each trusted proxy appends to X-Forwarded-For whom it heard: the entry that the outermost one
 * wrote is the client; whatever is left of it the client wrote itself.
 * @param trustedProxies how many proxies of ours every request passes; 0: the header is ignored
 */
export function originOf(request: IncomingMessage, trustedProxies: number): ClientOrigin {
  const peer = addressIn(request.socket.remoteAddress ?? '');
  const forwarded = trustedProxies === 0 ? [] : forwardedFor(request.headers['x-forwarded-for']);
  const written = forwarded[Math.max(forwarded.length - trustedProxies, 0)];
  const address = written === undefined ? peer : (addressIn(written) ?? peer);
  return clientOrigin(address, request.headers['user-agent']?.replace(NO_HEADER_TEXT, ' '));
}

function forwardedFor(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  return text.split(',').flatMap((part) => part.trim() || []);
}

/** The address, without port and mapping; null when it is none. */
function addressIn(text: string): string | null {
  const [, ipv6, ipv4] = WITH_PORT.exec(text) ?? [];
  const bare = ipv6 ?? ipv4 ?? text;
  const address = MAPPED_IPV4.exec(bare)?.[1] ?? bare;
  return isIP(address) === 0 ? null : address;
}
