/** From where an operation came to the gateway: for records and for limits, never for deciding who somebody is. */
export interface ClientOrigin {
  /** The IP address as the gateway sees it, behind its trusted proxies; null when it is not known. */
  readonly clientAddress: string | null;
  /** The user-agent header, at most 200 characters; null when there was none. */
  readonly clientAgent: string | null;
}

export const CLIENT_ADDRESS_HEADER = 'x-client-address';
export const CLIENT_AGENT_HEADER = 'x-client-agent';
export const CLIENT_AGENT_MAX_LENGTH = 200;
/** The members of `extensions` by which operations over the gateway's sockets tell the same. */
export const CLIENT_ADDRESS_EXTENSION = 'clientAddress';
export const CLIENT_AGENT_EXTENSION = 'clientAgent';

/** What the gateway said about the client; it alone is believed, so ask only for requests that brought its secret. */
export function clientOrigin(address: unknown, agent: unknown): ClientOrigin {
  return { clientAddress: textOrNull(address), clientAgent: textOrNull(agent)?.slice(0, CLIENT_AGENT_MAX_LENGTH) ?? null };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
