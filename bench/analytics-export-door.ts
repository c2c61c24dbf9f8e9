import { openDatabase } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp, listen } from '@ates/service-kit/http-server';
import { createMetrics } from '@ates/service-kit/metrics';
import { serveAuditExports } from '../subgraphs/analytics/src/audit-export.ts';
import { exportLinkKey } from '../subgraphs/analytics/src/export-links.ts';
import { logger } from './ledger-database.ts';

/** What this process is told by its parent, once. */
export interface DoorCommand {
  readonly databaseUrl: string;
  readonly gatewaySecret: string;
}

// A process with the door of exports and nothing else, so that its memory can be looked at.
process.once('message', (command) => void open(command as DoorCommand));

async function open({ databaseUrl, gatewaySecret }: DoorCommand): Promise<void> {
  const database = await openDatabase({ url: databaseUrl, ownerUrl: null, entities: [], migrations: [], logger });
  const app = createHttpApp(createHealth(), createMetrics('analytics'));
  serveAuditExports(app, { database, gatewaySecret, key: exportLinkKey(gatewaySecret), clock: () => new Date(), logger });
  const server = await listen(app, '127.0.0.1', 0);
  process.once('disconnect', () => void database.close().finally(() => process.exit()));
  process.send?.({ port: server.port });
}
