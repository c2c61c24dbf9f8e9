import { EventEmitter, on } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import { DomainError } from '@ates/service-kit/domain-error';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp, type RunningHttpServer } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import type { RevocationFeed } from '@ates/service-kit/revocations';
import { startSubgraphServer } from '@ates/service-kit/subgraph-server';
import { createAuthenticator, signedIn, withRole, type Viewer } from '@ates/service-kit/viewer';
import { AUDIENCE, ISSUER } from './token-issuer.ts';

/** A library: three small subgraphs of a domain that is not the project's, with everything a gateway can stumble over. */
export const LIBRARY = ['books', 'reviews', 'readers'] as const;
export type LibrarySubgraph = (typeof LIBRARY)[number];

interface Context {
  readonly viewer: Viewer | null;
}

/** What a canned subgraph saw and does; tests read and set it. */
export interface Canned {
  readonly requests: { readonly headers: IncomingHttpHeaders }[];
  readonly upgrades: IncomingHttpHeaders[];
  /** From where the operations came, as the contexts were told. */
  readonly clients: ClientOrigin[];
  /** Events named by subscription field; `listenerCount` tells the subscriptions under way. */
  readonly events: EventEmitter;
  /** Variables that subscriptions were started with. */
  readonly subscribed: Record<string, unknown>[];
  /** Awaited by `Reader.name` and `Query.review` before they answer. */
  beforeAnswer: ((id: string) => Promise<void>) | undefined;
}

export interface RunningSubgraph extends Canned {
  readonly name: LibrarySubgraph;
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
  /** The same subgraph on the same port, after `stop`; what it saw goes on in the same record. */
  start(): Promise<void>;
}

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key", "@shareable"])';

export const SCHEMAS: Record<LibrarySubgraph, string> = {
  books: `${LINK}
    type Book @key(fields: "id") { id: ID! title: String! author: Author! pages: Int secretPrice: Int sequel: Book }
    type Author { name: String! }
    type Query {
      book(id: ID!): Book
      books: [Book!]!
      "Refused to everyone."
      forbidden: String
      "Fails with a message that nobody may read."
      broken: String
      librarian: String
      whoami: String
      slow: String
      "Null in spite of the exclamation mark."
      nothing: Book
      untold: String!
      list(text: String): String
    }
    type Mutation { rename(id: ID!, title: String!): Book login(password: String): String refreshSession(token: String): String }`,
  reviews: `${LINK}
    type Review @key(fields: "id") { id: ID! stars: Int! text: String book: Book! reader: Reader! }
    type Book @key(fields: "id") { id: ID! reviews: [Review!]! rating: Float }
    type Reader @key(fields: "id") { id: ID! }
    type Query { review(id: ID!): Review }
    type Subscription {
      reviewAdded(bookId: ID, minimumStars: Int = 0): Review!
      "Needs the role LIBRARIAN."
      reviewRemoved: Review!
      counted: Int!
    }`,
  readers: `${LINK}
    type Reader @key(fields: "id") { id: ID! name: String! email: String nickname: String! }
    type Query { me: Reader reader(id: ID!): Reader }`,
};

const BOOKS = [
  { id: 'b1', title: 'The Parrot', author: { name: 'Ada' }, pages: 100 },
  { id: 'b2', title: 'The Beak', author: { name: 'Bo' }, pages: 200 },
  { id: 'b3', title: 'The Perch', author: { name: 'Cy' }, pages: null },
];

type Resolvers = Record<string, Record<string, unknown>>;

function bookResolvers(): Resolvers {
  const find = (id: string) => BOOKS.find((book) => book.id === id) ?? null;
  return {
    Book: {
      __resolveReference: ({ id }: { id: string }) => find(id),
      secretPrice: () => {
        throw new DomainError('FORBIDDEN', 'The price is not for you', { need: 'LIBRARIAN' });
      },
      sequel: ({ id }: { id: string }) => find(`b${Number(id.slice(1)) + 1}`),
    },
    Query: {
      book: (_: unknown, { id }: { id: string }) => find(id),
      books: () => BOOKS,
      forbidden: () => {
        throw new DomainError('FORBIDDEN', 'Nobody may read this');
      },
      broken: () => {
        throw new Error('select * from shelves where password = 1');
      },
      librarian: (_: unknown, __: unknown, { viewer }: Context) => withRole(viewer, 'LIBRARIAN').userId,
      whoami: (_: unknown, __: unknown, { viewer }: Context) => viewer?.userId ?? null,
      untold: () => null,
      list: (_: unknown, { text }: { text?: string }) => text ?? null,
    },
    Mutation: {
      login: (_: unknown, { password }: { password?: string }) => password ?? null,
      refreshSession: (_: unknown, { token }: { token?: string }) => token ?? null,
      rename: (_: unknown, { id, title }: { id: string; title: string }) => ({ ...find(id), title }),
    },
  };
}

function reviewResolvers(canned: Canned): Resolvers {
  const review = (id: string) => ({ id, stars: 5, text: `text of ${id}`, book: { id: 'b1' }, reader: { id: 'r1' } });
  const subscribe = (name: string, check: (context: Context) => unknown = ({ viewer }) => signedIn(viewer)) => ({
    subscribe: (_: unknown, args: Record<string, unknown>, context: Context) => {
      check(context);
      canned.subscribed.push(args);
      return eventsOf(canned.events, name);
    },
  });
  return {
    Review: { __resolveReference: ({ id }: { id: string }) => review(id) },
    Book: {
      __resolveReference: ({ id }: { id: string }) => ({ id }),
      reviews: ({ id }: { id: string }) => [{ ...review(`${id}-1`), book: { id } }],
      rating: ({ id }: { id: string }) => {
        if (id === 'b2') throw new Error('rating of b2: connection to 10.0.0.7:5432 refused');
        return 4.5;
      },
    },
    Query: {
      review: async (_: unknown, { id }: { id: string }) => {
        await canned.beforeAnswer?.(id);
        return review(id);
      },
    },
    Subscription: {
      reviewAdded: subscribe('reviewAdded'),
      reviewRemoved: subscribe('reviewRemoved', ({ viewer }) => withRole(viewer, 'LIBRARIAN')),
      counted: subscribe('counted'),
    },
  };
}

function readerResolvers(canned: Canned): Resolvers {
  const reader = (id: string) => (id === 'gone' ? null : { id });
  return {
    Reader: {
      __resolveReference: ({ id }: { id: string }) => reader(id),
      name: async ({ id }: { id: string }) => {
        await canned.beforeAnswer?.(id);
        return `name of ${id}`;
      },
      email: ({ id }: { id: string }, _: unknown, { viewer }: Context) => {
        if (signedIn(viewer).userId !== id && !viewer?.roles.includes('LIBRARIAN')) throw new DomainError('FORBIDDEN', 'That is somebody else’s address');
        return `${id}@library.test`;
      },
      nickname: ({ id }: { id: string }) => (id === 'shy' ? null : `nick of ${id}`),
    },
    Query: {
      me: (_: unknown, __: unknown, { viewer }: Context) => reader(signedIn(viewer).userId),
      reader: (_: unknown, { id }: { id: string }) => reader(id),
    },
  };
}

/** No async generator: one that waits for the next event can't be told to return. */
function eventsOf(events: EventEmitter, name: string): AsyncIterableIterator<unknown> {
  const source = on(events, name);
  return {
    next: async () => {
      const { done, value } = await source.next();
      return done === true ? { done, value: undefined } : { done: false, value: { [name]: (value as unknown[])[0] } };
    },
    return: async () => {
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

interface LibrarySubgraphParts {
  readonly jwksUrl: string;
  readonly secret: string;
  readonly revocations: RevocationFeed;
}

/** Starts one subgraph of the library on a free port of this machine. */
export async function startLibrarySubgraph(name: LibrarySubgraph, { jwksUrl, secret, revocations }: LibrarySubgraphParts): Promise<RunningSubgraph> {
  const canned: Canned = { requests: [], upgrades: [], clients: [], events: new EventEmitter().setMaxListeners(0), subscribed: [], beforeAnswer: undefined };
  const resolvers = { books: () => bookResolvers(), reviews: () => reviewResolvers(canned), readers: () => readerResolvers(canned) }[name]();
  const open = async (port: number): Promise<RunningHttpServer> => {
    const app = createHttpApp(createHealth(), createMetrics(name));
    const server = await startSubgraphServer<Context>({
      app,
      host: '127.0.0.1',
      port,
      typeDefs: SCHEMAS[name],
      resolvers,
      gatewaySecret: secret,
      authenticator: createAuthenticator({ jwksUrl, issuer: ISSUER, audience: AUDIENCE, revocations }),
      createContext: (viewer, client) => {
        canned.clients.push(client);
        return { viewer };
      },
      logger: createLogger(name, 'silent'),
    });
    server.server.prependListener('request', (request) => {
      if (request.url === '/graphql') canned.requests.push({ headers: request.headers });
    });
    server.server.prependListener('upgrade', (request) => canned.upgrades.push(request.headers));
    return server;
  };
  let running = await open(0);
  const { port } = running;
  return Object.assign(canned, {
    name,
    port,
    url: `http://127.0.0.1:${port}/graphql`,
    stop: () => running.stop(),
    start: async () => {
      running = await open(port);
    },
  });
}
