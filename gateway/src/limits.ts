import type { ParseOptions } from 'graphql';

/** Everything a client may send has a bound; the same ones hold for HTTP and for sockets. */
export const BODY_MAX_BYTES = 256 * 1024;
export const DEPTH_MAX = 10;
export const ALIASES_MAX = 15;
export const TOKENS_MAX = 1_000;
/** Root fields that open or renew a session: one of them in an operation, so that nobody tries a hundred passwords in one request. */
export const SIGN_IN_FIELDS: readonly string[] = ['login', 'loginWithBeak', 'changePassword', 'enrollBeak', 'refreshSession'];
/** Of a WebSocket message from a client. */
export const SOCKET_PAYLOAD_MAX_BYTES = 64 * 1024;
/** Operations under way on one socket at a time. */
export const SOCKET_OPERATIONS_MAX = 50;
export const SOCKET_INIT_TIMEOUT_MS = 3_000;
/** Of one answer of a subgraph. */
export const SUBGRAPH_ANSWER_MAX_BYTES = 16 * 1024 * 1024;
export const SUBGRAPH_TIMEOUT_MS = 10_000;
export const SUBGRAPH_CONNECT_TIMEOUT_MS = 2_000;
export const SUBGRAPH_CONNECTIONS_MAX = 64;
/** Events of one subscription that wait for their delivery; more end the subscription. */
export const EVENTS_WAITING_MAX = 256;
/** Events of one subscription whose remaining fields are fetched at the same time. */
export const EVENTS_AT_ONCE_MAX = 4;
/** Subscription plans that are remembered. */
export const PLANS_MAX = 1_000;

export const parseLimits: ParseOptions = { maxTokens: TOKENS_MAX };
