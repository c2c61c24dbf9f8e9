import { natsUrl, type RunningNats } from '../../scripts/embedded-nats.ts';
import { startTestNats, TEST_NATS_PASSWORD } from '../../scripts/test-nats.ts';
import { createLogger } from '../src/logger.ts';
import { connectNats, type NatsConnection } from '../src/nats.ts';
import { announceRevocations, followRevocations, type Revocation, type RevocationFeed, type RevocationsRead } from '../src/revocations.ts';

export const ann = { userId: 'ann', sessionId: 's1', userVersion: 3, keyId: 'k1' };
export const silent = createLogger('test', 'silent');
export const SUBJECT = 'live.users.revocations';

/** A NATS with a connection of Users and one of the gateway; what is announced and followed ends with `stop`. */
export async function startRevocations() {
  const server: RunningNats = await startTestNats();
  const connectAs = (user: string, port = server.port): Promise<NatsConnection> => connectNats(natsUrl({ port, user, password: TEST_NATS_PASSWORD }), user, silent);
  const [users, gateway] = await Promise.all([connectAs('users'), connectAs('gateway')]);
  const stops: (() => unknown)[] = [];
  return {
    server,
    users,
    gateway,
    connectAs,
    onStop: (stop: () => unknown) => void stops.push(stop),
    announce: (told: ReturnType<typeof table>, options: { nats?: NatsConnection; intervalMs?: number; logger?: typeof silent } = {}) => {
      const announcer = announceRevocations({ nats: users, logger: silent, read: told.read, intervalMs: 50, ...options });
      stops.push(announcer.stop);
      return announcer;
    },
    follow: (options: Partial<Parameters<typeof followRevocations>[0]> = {}): RevocationFeed => {
      const feed = followRevocations({ nats: gateway, logger: silent, ...options });
      stops.push(feed.stop);
      return feed;
    },
    stopAll: async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
    },
    stop: async () => {
      await Promise.all([users.close(), gateway.close()]);
      await server.stop();
    },
  };
}

/** A table of revocations, as Users has one. */
export function table(keys = ['k1']) {
  const entries: Revocation[] = [];
  const asked: number[] = [];
  const state = { entries, asked, keys, failing: false, pageMax: 2_000, revoke: (revoked: Partial<Revocation>) => void entries.push({ seq: entries.length + 1, ...revoked } as Revocation) };
  const read = async (after: number): Promise<RevocationsRead> => {
    if (state.failing) throw new Error('the database is away');
    asked.push(after);
    const rest = entries.filter(({ seq }) => seq > after);
    const page = rest.slice(0, state.pageMax);
    const more = rest.length > page.length;
    return { last: more ? (page.at(-1)?.seq ?? after) : entries.length, more, keys: [...state.keys], entries: page };
  };
  return Object.assign(state, { read });
}
