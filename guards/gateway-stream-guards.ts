import type { Guard } from './guard.ts';

const CLIENT_SOCKET = 'gateway/src/streams/client-socket.ts';
const SOCKET_SERVER = 'gateway/src/streams/socket-server.ts';
const HTTP_STREAM = 'gateway/src/streams/http-stream.ts';
const HTTP_STREAMS = 'gateway/src/streams/http-streams.ts';
const CHANNEL = 'gateway/src/streams/stream-channel.ts';
const LIVE = 'gateway/src/streams/live-subscription.ts';
const RENEWAL = 'gateway/src/streams/renewal.ts';
const UPSTREAM = 'gateway/src/streams/upstream-socket.ts';

const SOCKET_TEST = 'gateway/test/streams-protocol.test.ts';
const STREAMS_TEST = 'gateway/test/streams-http.test.ts';
const SINGLE_CONNECTION_TEST = 'gateway/test/streams-single-connection.test.ts';
const ODD_SUBGRAPH_TEST = 'gateway/test/streams-odd-subgraph.test.ts';
const LIFECYCLE_TEST = 'gateway/test/streams-lifecycle.test.ts';
const UPSTREAM_TEST = 'gateway/test/streams-upstream.test.ts';
const SUBSCRIPTIONS_TEST = 'gateway/test/subscriptions.test.ts';
const HTTP_TEST = 'gateway/test/http-protocol.test.ts';

/** What bounds streams, ends them in time, and keeps them up otherwise. */
export const GATEWAY_STREAM_GUARDS: readonly Guard[] = [
  {
    name: 'gateway: a socket ends with its token',
    edits: [{ file: CLIENT_SOCKET, find: 'if (identity.viewer !== null) {', replace: "if (identity.viewer?.userId === '') {" }],
    test: 'gateway/test/sockets.test.ts',
    named: 'is closed with 4403 when its token expires',
  },
  {
    name: 'gateway: an event stream ends with its token',
    edits: [{ file: HTTP_STREAM, find: 'if (viewer === null) return;', replace: "if (viewer === null || transport === 'sse') return;" }],
    test: ODD_SUBGRAPH_TEST,
    named: 'A stream of text/event-stream ends with its token',
  },
  {
    name: 'gateway: a multipart stream ends with its token',
    edits: [{ file: HTTP_STREAM, find: 'if (viewer === null) return;', replace: "if (viewer === null || transport === 'multipart') return;" }],
    test: ODD_SUBGRAPH_TEST,
    named: 'A stream of multipart/mixed',
  },
  {
    name: 'gateway: an operation of a single connection ends with its token',
    edits: [{ file: CHANNEL, find: 'viewer === null ? () => {} : authenticator.watch(viewer, expired)', replace: '() => {}' }],
    test: ODD_SUBGRAPH_TEST,
    named: 'An operation of a single connection ends with its token',
  },
  {
    name: 'gateway: a single connection belongs to its user',
    edits: [{ file: 'gateway/src/streams/stream-requests.ts', find: 'channel.owner === streamOwner(context) ||', replace: "channel.owner !== '' ||" }],
    test: SINGLE_CONNECTION_TEST,
    named: 'is nobody’s but its user’s',
  },
  {
    name: 'gateway: a socket that says nothing is closed with 4408',
    edits: [{ file: SOCKET_SERVER, find: 'return inits.add(client);', replace: 'return undefined;' }],
    test: SOCKET_TEST,
    named: 'and says nothing is closed with 4408',
  },
  {
    name: 'gateway: a socket that initialises twice is closed with 4429',
    edits: [{ file: CLIENT_SOCKET, find: "if (this.#stage !== 'new') return", replace: "if (this.#stage === 'closed') return" }],
    test: SOCKET_TEST,
    named: 'and initialises twice is closed with 4429',
  },
  {
    name: 'gateway: a socket that subscribes too early is closed with 4401',
    edits: [{ file: CLIENT_SOCKET, find: "if (this.#identity === undefined) return this.close(CloseCode.unauthorized, 'Unauthorized');", replace: 'this.#identity ??= { authorization: undefined, viewer: null };' }],
    test: SOCKET_TEST,
    named: 'and subscribes before the acknowledgement is closed with 4401',
  },
  {
    name: 'gateway: an id that is taken closes the socket with 4409',
    edits: [{ file: CLIENT_SOCKET, find: 'if (this.#running.has(id)) return', replace: "if (this.#running.has(id) && id === '') return" }],
    test: SOCKET_TEST,
    named: 'closes the socket with 4409',
  },
  {
    name: 'gateway: operations of one socket are bounded',
    edits: [{ file: CLIENT_SOCKET, find: 'if (this.#running.size >= settings.maxSubscriptionsPerSocket) {', replace: 'if (this.#running.size < 0) {' }],
    test: 'gateway/test/sockets.test.ts',
    named: 'may have 50 operations under way, not 51',
  },
  {
    name: 'gateway: operations of one single connection are bounded',
    edits: [{ file: 'gateway/src/streams/stream-requests.ts', find: 'if (channel.size >= maxSubscriptionsPerSocket) {', replace: 'if (channel.size < 0) {' }],
    test: SINGLE_CONNECTION_TEST,
    named: 'has at most as many operations under way as a socket',
  },
  {
    name: 'gateway: streams of one user are bounded',
    edits: [{ file: HTTP_STREAMS, find: 'if (!bounds.enter(owner)) return refuse(response', replace: "if (!bounds.enter(owner) && owner === '') return refuse(response" }],
    test: STREAMS_TEST,
    named: 'of one user are bounded',
  },
  {
    name: 'gateway: a client that does not read its socket is closed',
    edits: [{ file: CLIENT_SOCKET, find: 'if (this.#webSocket.bufferedAmount > this.#parts.settings.maxSocketBufferBytes) this.#closeSlow();\n    else this.#socket', replace: 'this.#socket' }],
    test: LIFECYCLE_TEST,
    named: 'slow to read its socket is closed with 1013',
  },
  {
    name: 'gateway: a client that does not read its stream is cut',
    edits: [{ file: HTTP_STREAM, find: 'if (response.writableLength > settings.maxSocketBufferBytes) {', replace: 'if (response.writableLength < 0) {' }],
    test: STREAMS_TEST,
    named: 'slow to read a stream is cut',
  },
  {
    name: 'gateway: what waits for a single connection to be opened is bounded',
    edits: [{ file: CHANNEL, find: '> this.#parts.settings.maxSocketBufferBytes) this.close();', replace: '< 0) this.close();' }],
    test: SINGLE_CONNECTION_TEST,
    named: 'that is not opened holds no more than may wait',
  },
  {
    name: 'gateway: what a subgraph tells of a subscription that it refuses is masked',
    edits: [{ file: LIVE, find: 'errors.map((error) => presentSubgraphError(error, logger))', replace: 'errors.map((error) => error)' }],
    test: ODD_SUBGRAPH_TEST,
    named: 'is masked, unless it has a code from the list',
  },
  {
    name: 'gateway: events that wait are bounded',
    edits: [{ file: LIVE, find: 'if (this.#waiting.length >= maxWaitingEvents) {', replace: 'if (this.#waiting.length < 0) {' }],
    test: SUBSCRIPTIONS_TEST,
    named: 'when more than 256 events wait',
  },
  {
    name: 'gateway: events come in their order',
    edits: [{ file: LIVE, find: '    if (this.#isOver) return;\n    this.#deliver();\n', replace: '    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);\n    this.#begun -= 1;\n    this.start.reader.next(this.start.operation, answer);\n' }],
    test: SUBSCRIPTIONS_TEST,
    named: 'delivers events in their order',
  },
  {
    name: 'gateway: a query whose client has left stops fetching',
    edits: [{ file: 'gateway/src/http/graphql-endpoint.ts', find: "if (prepared.kind === 'query') response.once('close'", replace: "if (prepared.kind === 'subscription') response.once('close'" }],
    test: HTTP_TEST,
    named: 'has the fetches of its query ended',
  },
  {
    name: 'gateway: a mutation whose client has left is brought to its end',
    edits: [{ file: 'gateway/src/http/graphql-endpoint.ts', find: "if (prepared.kind === 'query') response.once('close'", replace: "response.once('close'" }],
    test: HTTP_TEST,
    named: 'has its mutation brought to its end',
  },
  {
    name: 'gateway: a query that its socket completed stops fetching',
    edits: [{ file: 'gateway/src/streams/operation-start.ts', find: "if (kind === 'query') cancelOperation(context);", replace: '' }],
    test: SOCKET_TEST,
    named: 'that is a query and was completed by the client',
  },
  {
    name: 'gateway: a mutation that its socket completed is brought to its end',
    edits: [{ file: 'gateway/src/streams/operation-start.ts', find: "if (kind === 'query') cancelOperation(context);", replace: "if (kind !== 'subscription') cancelOperation(context);" }],
    test: SOCKET_TEST,
    named: 'that is a mutation and was completed by the client',
  },
  {
    name: 'gateway: the secret is shown to the subgraph of a subscription',
    edits: [{ file: UPSTREAM, find: 'headers: endpoint.secret === undefined ? {} : { [GATEWAY_SECRET_HEADER]: endpoint.secret },', replace: 'headers: {},' }],
    test: UPSTREAM_TEST,
    named: 'is opened with the gateway’s secret',
  },
  {
    name: 'gateway: subscriptions go on after their subgraph was restarted',
    edits: [{ file: UPSTREAM, find: 'for (const [id, subscriber] of subscribers) send(link, id, subscriber);', replace: 'if (!again) for (const [id, subscriber] of subscribers) send(link, id, subscriber);' }],
    test: UPSTREAM_TEST,
    named: 'that is lost is replaced',
  },
  {
    name: 'gateway: a subgraph hears who has left',
    edits: [{ file: UPSTREAM, find: "if (link.subscribers.delete(id) && link.state === 'open')", replace: "if (link.subscribers.delete(id) && link.state === 'waiting')" }],
    test: UPSTREAM_TEST,
    named: 'tells the subgraph who has left',
  },
  {
    name: 'gateway: a silent socket to a subgraph is given up',
    edits: [{ file: UPSTREAM, find: 'if (link.silentLooks > SILENT_LOOKS_UNTIL_PING) return link.socket?.terminate();', replace: '' }],
    test: UPSTREAM_TEST,
    named: 'is pinged when nothing comes over it',
  },
  {
    name: 'gateway: a reload ends subscriptions that would be served in another way',
    edits: [{ file: RENEWAL, find: 'if (!subscription.holdsFor(renewed)) {', replace: "if (renewed.query === '') {" }],
    test: LIFECYCLE_TEST,
    named: 'ends the subscriptions that would be served in another way',
  },
  {
    name: 'gateway: a reload completes events by its plan',
    edits: [{ file: RENEWAL, find: 'subscription.prepared = renewed;', replace: '' }],
    test: LIFECYCLE_TEST,
    named: 'completes events by the new plan',
  },
  {
    name: 'gateway: a reload ends no subscription for the rate of its user',
    edits: [{ file: RENEWAL, find: "=== 'RATE_LIMITED')) return 'later';", replace: "=== '')) return 'later';" }],
    test: LIFECYCLE_TEST,
    named: 'keeps the subscriptions of a user who is at the limit',
  },
  {
    name: 'gateway: sockets are closed with 1001 when it stops',
    edits: [{ file: SOCKET_SERVER, find: "for (const socket of sweep) socket.client?.close(CloseCode.goingAway, 'The gateway stops: connect again');", replace: '' }],
    test: LIFECYCLE_TEST,
    named: 'closes sockets with 1001',
  },
  {
    name: 'gateway: streams end when it stops',
    edits: [{ file: HTTP_STREAMS, find: 'for (const stream of all) stream.drain();', replace: '' }],
    test: LIFECYCLE_TEST,
    named: 'ends event streams without an end of their own',
  },
];
