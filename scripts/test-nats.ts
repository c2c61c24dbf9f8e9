import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../service-kit/src/logger.ts';
import type { NatsConnection } from '../service-kit/src/nats.ts';
import { announceRevocations, type NewRevocation, type Revocation } from '../service-kit/src/revocations.ts';
import { type RunningNats, startNats } from './embedded-nats.ts';
import { OPERATOR, serviceUsers } from './nats-access.ts';

/** Of every user of a test's NATS. */
export const TEST_NATS_PASSWORD = 'test';

/** A NATS of the test's own, in a temporary folder, with the users and permissions of a whole stack. The URL is the operator's. */
export async function startTestNats(port = 0): Promise<RunningNats> {
  const storeDir = mkdtempSync(join(tmpdir(), 'ates-test-nats-'));
  const nats = await startNats({ storeDir, port, user: OPERATOR, password: TEST_NATS_PASSWORD, otherUsers: serviceUsers(() => TEST_NATS_PASSWORD) });
  return {
    ...nats,
    stop: async () => {
      await nats.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}

/** What Users would tell of revocations. */
export interface TestRevocations {
  revoke(revocation: NewRevocation): void;
  /** From now on these keys alone may sign. */
  useKeys(keys: readonly string[]): void;
  /** From now on nothing is told: everybody's feed goes stale. */
  stop(): Promise<void>;
}

/** Tells revocations in place of Users. */
export function announceTestRevocations(nats: NatsConnection, keys: readonly string[]): TestRevocations {
  const entries: Revocation[] = [];
  let signingKeys = keys;
  const announcer = announceRevocations({
    nats,
    logger: createLogger('test', 'silent'),
    read: async (after) => ({ last: entries.length, more: false, keys: signingKeys, entries: entries.filter(({ seq }) => seq > after) }),
  });
  return {
    revoke: (revocation) => {
      entries.push({ ...revocation, seq: entries.length + 1 });
      announcer.announceNow();
    },
    useKeys: (changed) => {
      signingKeys = changed;
      announcer.announceNow();
    },
    stop: announcer.stop,
  };
}
