import type { KeyObject } from 'node:crypto';
import type { Database } from '@ates/service-kit/database';
import { serveDocuments } from '@ates/service-kit/document-door';
import type { Logger } from '@ates/service-kit/logger';
import type { Express } from 'express';
import { auditCsv } from './audit-csv.ts';
import { checkExportLink, exportFileName } from './export-links.ts';

interface AuditExportParts {
  readonly database: Database;
  readonly gatewaySecret: string;
  /** As `exportLinkKey` made it. */
  readonly key: KeyObject;
  readonly clock: () => Date;
  readonly logger: Logger;
}

/** Serves `GET /exports/<token>/<file>` to the gateway: the part of the audit log that the link is signed for, written while it is read. */
export function serveAuditExports(app: Express, { database, gatewaySecret, key, clock, logger }: AuditExportParts): void {
  serveDocuments(app, {
    path: 'exports',
    called: { one: 'an export', many: 'Exports' },
    gatewaySecret,
    logger,
    open: (link) => {
      const range = checkExportLink(link, key, clock());
      return Promise.resolve({ contentType: 'text/csv; charset=utf-8; header=present', fileName: exportFileName(range), chunks: () => auditCsv(database, range) });
    },
  });
}
