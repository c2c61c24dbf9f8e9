import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';

/**
 * Those who watch balances, as a process of its own: its parent tells by messages when to begin and asks what has arrived. It ends with
 * its parent.
 */

/** What its parent sends. */
export type Command =
  | { readonly do: 'watch'; readonly wsUrl: string; readonly token: string; readonly accountIds: readonly string[]; readonly perSocket: number }
  | { readonly do: 'count' }
  /** Forgets what has arrived. */
  | { readonly do: 'forget' }
  | { readonly do: 'tell' };

/** Its answer to each. */
export interface Answer {
  /** So many have arrived since it was told to forget. */
  readonly count: number;
  /** Whose subscribers have not heard anything yet since then; by their places. */
  readonly silent: readonly number[];
  /** When it is told to tell. */
  readonly arrivals: readonly Arrival[];
  /** By which this process was late itself at most, in ms, since it was told to forget. */
  readonly lateMs: number;
  /** Why a subscription has ended. */
  readonly failures: readonly string[];
}

/** A change that one subscriber got. */
export interface Arrival {
  /** The place of the account that this one watches. */
  readonly watcher: number;
  readonly entryId: string;
  readonly balance: number;
  /** In ms since the epoch, with fractions. */
  readonly at: number;
}

const WATCH = 'subscription ($accountId: ID!) { balanceChanged(accountId: $accountId) { balance entry { id } } }';
const NS_PER_MS = 1e6;

const loop = monitorEventLoopDelay({ resolution: 1 });
const clients: Client[] = [];
const failures: string[] = [];
let watchers = 0;
let arrivals: Arrival[] = [];

function watch({ wsUrl, token, accountIds, perSocket }: Extract<Command, { do: 'watch' }>): void {
  watchers = accountIds.length;
  for (let from = 0; from < accountIds.length; from += perSocket) {
    const client = createClient({ url: wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` }, lazy: false, retryAttempts: 0, onNonLazyError: (error) => failures.push(`a socket failed: ${reasonOf(error)}`) });
    clients.push(client);
    for (const [index, accountId] of accountIds.slice(from, from + perSocket).entries()) watchOne(client, accountId, from + index);
  }
  loop.enable();
}

function watchOne(client: Client, accountId: string, watcher: number): void {
  client.subscribe<{ balanceChanged: { balance: number; entry: { id: string } } }>(
    { query: WATCH, variables: { accountId } },
    {
      next: ({ data, errors }) => {
        const at = performance.timeOrigin + performance.now();
        if (data == null) failures.push(JSON.stringify(errors));
        else arrivals.push({ watcher, entryId: data.balanceChanged.entry.id, balance: data.balanceChanged.balance, at });
      },
      error: (error) => failures.push(`a subscription failed: ${reasonOf(error)}`),
      complete: () => failures.push('a subscription has ended'),
    },
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return JSON.stringify(code === undefined ? error : { code, reason });
}

function answer(withArrivals: boolean): Answer {
  const heard = new Set(arrivals.map(({ watcher }) => watcher));
  const silent = Array.from({ length: watchers }, (_, watcher) => watcher).filter((watcher) => !heard.has(watcher));
  return { count: arrivals.length, silent, arrivals: withArrivals ? arrivals : [], lateMs: loop.max / NS_PER_MS, failures: failures.slice(0, 5) };
}

process.on('message', (command: Command) => {
  if (command.do === 'watch') watch(command);
  if (command.do === 'forget') {
    arrivals = [];
    loop.reset();
  }
  process.send?.(answer(command.do === 'tell'));
});
process.on('disconnect', () => process.exit());
// Ctrl-C in the terminal is for the one who measures.
process.on('SIGINT', () => undefined);
