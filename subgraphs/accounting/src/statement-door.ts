import type { KeyObject } from 'node:crypto';
import type { Sql } from '@ates/service-kit/database';
import { serveDocuments } from '@ates/service-kit/document-door';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import type { Express } from 'express';
import { statementCsv } from './statement-csv.ts';
import { checkStatementLink, statementFileName, type StatementFormat } from './statement-links.ts';
import { readStatementHead, readStatementPages, type StatementHead, type StatementLine } from './statement-rows.ts';

interface StatementDoorParts {
  readonly sql: Sql;
  readonly gatewaySecret: string;
  /** As `statementLinkKey` made it. */
  readonly key: KeyObject;
  readonly clock: () => Date;
  readonly logger: Logger;
}

interface DocumentKind {
  readonly contentType: string;
  readonly write: (head: StatementHead, pages: AsyncIterable<readonly StatementLine[]>) => AsyncGenerator<string | Buffer, void>;
}

const DOCUMENTS: Record<StatementFormat, DocumentKind> = {
  CSV: { contentType: 'text/csv; charset=utf-8; header=present', write: statementCsv },
  PDF: { contentType: 'application/pdf', write: writePdf },
};

/** What makes PDFs takes long to load: not before somebody wants one. */
async function* writePdf(...statement: Parameters<DocumentKind['write']>): AsyncGenerator<Buffer, void> {
  const { statementPdf } = await import('./statement-pdf.ts');
  yield* statementPdf(...statement);
}

/**
 * Serves `GET /statements/<token>/<file>` to the gateway: the document that the link is signed for, written while it is read, page by
 * page, as fast as the reader takes it.
 */
export function serveStatements(app: Express, { sql, gatewaySecret, key, clock, logger }: StatementDoorParts): void {
  serveDocuments(app, {
    path: 'statements',
    called: { one: 'a statement', many: 'Statements' },
    gatewaySecret,
    logger,
    open: async (link) => {
      const now = clock();
      const asked = checkStatementLink(link, key, now);
      const head = await readStatementHead(sql, { ...asked, now });
      if (head === null) throw new DomainError('NOT_FOUND', 'There is no such account any more');
      const { contentType, write } = DOCUMENTS[asked.format];
      return { contentType, fileName: statementFileName(asked), chunks: () => write(head, readStatementPages(sql, head)) };
    },
  });
}
