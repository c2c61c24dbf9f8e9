import type { KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Sql } from '@ates/service-kit/database';
import { DomainError, errorCodeOf, HTTP_STATUS } from '@ates/service-kit/domain-error';
import { secretCheck, STRANGER_REFUSED } from '@ates/service-kit/gateway-secret';
import type { Logger } from '@ates/service-kit/logger';
import { maskError } from '@ates/service-kit/mask-error';
import { refuseStranger, send } from '@ates/service-kit/subgraph-endpoint';
import { runInTrace, traceOf } from '@ates/service-kit/trace-context';
import type { Express, Request, Response } from 'express';
import { statementCsv } from './statement-csv.ts';
import { checkStatementLink, statementFileName, StatementLinkRefused, type StatementFormat } from './statement-links.ts';
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
 * page, as fast as the reader takes it. Refusals are JSON with a code; the link is written to no log.
 */
export function serveStatements(app: Express, parts: StatementDoorParts): void {
  const fromGateway = secretCheck(parts.gatewaySecret);
  app.get('/statements/:token/:file', (request, response) => {
    if (!fromGateway(request)) return refuseStranger(response, 'Statements are given to the gateway only: open the link there', STRANGER_REFUSED);
    return void runInTrace(traceOf(request.header('traceparent')), () => answer(parts, request, response));
  });
}

async function answer({ sql, key, clock, logger }: StatementDoorParts, { params, method }: Request<{ token: string; file: string }>, response: Response): Promise<void> {
  try {
    const now = clock();
    const asked = checkStatementLink(params, key, now);
    const head = await readStatementHead(sql, { ...asked, now });
    if (head === null) throw new DomainError('NOT_FOUND', 'There is no such account any more');
    const { contentType, write } = DOCUMENTS[asked.format];
    response.setHeader('content-type', contentType);
    response.setHeader('content-disposition', `attachment; filename="${statementFileName(asked)}"`);
    if (method === 'HEAD') return void response.end();
    const chunks = write(head, readStatementPages(sql, head));
    // With the first one there it has begun well: what fails before can still be refused in words.
    const first = await chunks.next();
    if (first.done === true || response.destroyed) return;
    await pipeline(Readable.from(from(first.value, chunks)), response);
  } catch (error) {
    // Half a statement must not look like a whole one: its connection ends without the end of the answer.
    if (response.headersSent) return endUnfinished(response, error, logger);
    response.removeHeader('content-type');
    response.removeHeader('content-disposition');
    const shown = maskError({ message: 'The statement cannot be made' }, error, logger);
    send(response, error instanceof StatementLinkRefused ? error.status : HTTP_STATUS[errorCodeOf(shown.extensions) ?? 'INTERNAL'], { errors: [shown] });
  }
}

async function* from<Chunk>(first: Chunk, rest: AsyncIterable<Chunk>): AsyncGenerator<Chunk, void> {
  yield first;
  yield* rest;
}

function endUnfinished(response: Response, error: unknown, logger: Logger): void {
  // Whoever closes the window while it comes is no failure.
  if ((error as { code?: unknown }).code !== 'ERR_STREAM_PREMATURE_CLOSE') logger.error({ err: error }, 'a statement ended before it was whole');
  response.destroy();
}
