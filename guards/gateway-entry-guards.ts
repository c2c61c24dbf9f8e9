import type { Guard } from './guard.ts';

const AUTHENTICATE = 'gateway/src/authenticate.ts';
const IDENTITY = 'gateway/src/identity.ts';
const ENDPOINT = 'gateway/src/http/graphql-endpoint.ts';
const DOORS = 'gateway/src/doors.ts';
const PRESENT = 'gateway/src/present-error.ts';

const HTTP_TEST = 'gateway/test/http.test.ts';
const PROTOCOL_TEST = 'gateway/test/http-protocol.test.ts';
const SINGLE_CONNECTION_TEST = 'gateway/test/streams-single-connection.test.ts';
const DOORS_TEST = 'gateway/test/document-proxy.test.ts';
const FAILURES_TEST = 'gateway/test/failures.test.ts';
const EXCHANGE_TEST = 'gateway/test/token-exchange.test.ts';

/** What keeps requests out that nobody may send, and in what nobody may read. */
export const GATEWAY_ENTRY_GUARDS: readonly Guard[] = [
  {
    name: 'gateway: tokens are verified unless it is said that they are not',
    edits: [{ file: IDENTITY, find: 'return createGatewayAuthenticator(', replace: 'return trustingAuthenticator ?? createGatewayAuthenticator(' }],
    test: HTTP_TEST,
    named: 'that has expired is refused',
  },
  {
    name: 'gateway: a token that was revoked is refused',
    edits: [{ file: IDENTITY, find: 'issuer, audience, revocations, logger', replace: 'issuer, audience, revocations: heardFromNobody(logger), logger' }],
    test: 'gateway/test/revocations.test.ts',
    named: 'is refused over HTTP within 2 s',
  },
  {
    name: 'gateway: a socket needs a token',
    edits: [{ file: AUTHENTICATE, find: 'if (!authenticator.verifies) return NOBODY;', replace: 'return NOBODY;' }],
    test: 'gateway/test/sockets.test.ts',
    named: 'with no token is closed with 4403',
  },
  {
    name: 'gateway: a token that was exchanged and is refused is exchanged anew',
    edits: [{ file: AUTHENTICATE, find: 'tokens.forget(given);', replace: '' }],
    test: EXCHANGE_TEST,
    named: 'are exchanged anew when what they were exchanged for',
  },
  {
    name: 'gateway: a client does not say from where it comes',
    edits: [{ file: 'gateway/src/client-address.ts', find: 'forwarded[Math.max(forwarded.length - trustedProxies, 0)]', replace: 'forwarded[0]' }],
    test: 'gateway/test/client-origin.test.ts',
    named: 'when the client wrote the first',
  },
  {
    name: 'gateway: a foreign page makes nobody send a query by GET',
    edits: [{ file: ENDPOINT, find: 'if (!prepared.asksGatewayAlone && couldBeForged(request)) throw forged();', replace: '' }],
    test: HTTP_TEST,
    named: 'may come by GET with the header',
  },
  {
    name: 'gateway: a foreign page makes nobody open a stream',
    edits: [{ file: 'gateway/src/streams/http-streams.ts', find: '!prepared.asksGatewayAlone && couldBeForged(request)', replace: 'couldBeForged(request) && false' }],
    test: SINGLE_CONNECTION_TEST,
    named: 'without a token serves one operation alone',
  },
  {
    name: 'gateway: what a form can send is no request',
    edits: [{ file: ENDPOINT, find: 'checkContentType(request);\n          return readBody', replace: 'return readBody' }],
    test: PROTOCOL_TEST,
    named: 'that a foreign page could send',
  },
  {
    name: 'gateway: a mutation does not come by GET',
    edits: [{ file: ENDPOINT, find: "prepared.kind === 'mutation' || (prepared", replace: '(prepared' }],
    test: HTTP_TEST,
    named: 'may not change anything when they come by GET',
  },
  {
    name: 'gateway: a mutation does not come by GET to a stream',
    edits: [{ file: 'gateway/src/streams/http-streams.ts', find: "request.method === 'GET' && prepared.kind === 'mutation'", replace: "request.method === 'PUT'" }],
    test: SINGLE_CONNECTION_TEST,
    named: 'which is no mutation of a GET',
  },
  {
    name: 'gateway: a body that announces too much is not read',
    edits: [{ file: 'gateway/src/http/read-body.ts', find: 'if (declared !== undefined && Number(declared) > maxBytes) return', replace: 'if (declared === "none") return' }],
    test: PROTOCOL_TEST,
    named: 'that announces a body that is too large',
  },
  {
    name: 'gateway: a body that is too large is not kept',
    edits: [{ file: 'gateway/src/http/read-body.ts', find: 'if (bytes > maxBytes) return done(tooLarge(maxBytes));', replace: 'if (bytes > maxBytes) maxBytes = Infinity;' }],
    test: PROTOCOL_TEST,
    named: 'whose body is too large without announcing it',
  },
  {
    name: 'gateway: a hash names its own text alone',
    edits: [{ file: 'gateway/src/persisted-queries.ts', find: ".digest('hex') !== hash", replace: ".digest('hex') === ''" }],
    test: PROTOCOL_TEST,
    named: 'with the hash of another query',
  },
  {
    name: 'gateway: the plan is told to whoever has the role alone',
    edits: [{ file: 'gateway/src/operations.ts', find: 'hasRole(viewer, queryPlans.role)', replace: '(hasRole(viewer, queryPlans.role) || true)' }],
    test: PROTOCOL_TEST,
    named: 'is told to whoever asks by the header',
  },
  {
    name: 'gateway: an error without a known code is masked',
    edits: [{ file: PRESENT, find: 'withPublicCode(error) ?? internal(error)', replace: "withPublicCode(error) ?? { message: error.message, ...pathOf(error), extensions: { code: 'INTERNAL' } }" }],
    test: FAILURES_TEST,
    named: 'with an error without a code',
  },
  {
    name: 'gateway: a code that is not from the list is masked',
    edits: [{ file: PRESENT, find: '  const code = errorCodeOf(error.extensions);', replace: "  const code = error.extensions?.['code'] as ErrorCode | undefined;" }],
    test: FAILURES_TEST,
    named: 'with an error of no known code',
  },
  {
    name: 'gateway: an error does not tell how the system is made',
    edits: [{ file: PRESENT, find: '.filter(([name]) => !INTERNAL_EXTENSIONS.has(name))', replace: '' }],
    test: FAILURES_TEST,
    named: 'with a refusal of the whole request keeps',
  },
  {
    name: 'gateway: what is masked has the id of its request',
    edits: [{ file: PRESENT, find: '{} : { requestId: trace.traceId }', replace: '{} : {}' }],
    test: FAILURES_TEST,
    named: 'with null where the schema allows none',
  },
  {
    name: 'gateway: a door passes on what may be part of a path alone',
    edits: [{ file: DOORS, find: 'if (!TOKEN.test(token) || !FILE.test(file)) {', replace: "if (token === '') {" }],
    test: DOORS_TEST,
    named: 'does not send on slashes in the file, encoded',
  },
  {
    name: 'gateway: a door passes on no answer that is not for its user',
    edits: [{ file: DOORS, find: 'if (!STATUSES_PASSED_ON.includes(statusCode)) {', replace: 'if (statusCode < 0) {' }],
    test: DOORS_TEST,
    named: 'does not let its user pay',
  },
  {
    name: 'gateway: a door shows the secret to its subgraph',
    edits: [{ file: DOORS, find: 'headers: { ...secret, traceparent', replace: 'headers: { traceparent' }],
    test: DOORS_TEST,
    named: 'asks the archive with the secret',
  },
  {
    name: 'gateway: requests under way finish when it stops',
    edits: [{ file: 'gateway/src/http/http-server.ts', find: '        server.closeIdleConnections();\n      }),', replace: '        server.closeAllConnections();\n      }),' }],
    test: 'gateway/test/lifecycle.test.ts',
    named: 'lets a query under way finish',
  },
  {
    name: 'gateway: a client that keeps its connection does not hold up a stop',
    edits: [{ file: 'gateway/src/http/http-server.ts', find: 'setInterval(() => server.closeIdleConnections(), LOOK_FOR_IDLE_MS)', replace: 'setInterval(() => {}, LOOK_FOR_IDLE_MS)' }],
    test: 'gateway/test/lifecycle.test.ts',
    named: 'is done as soon as its last answer is given',
  },
];
