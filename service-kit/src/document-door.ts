import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Express, Request, Response } from 'express';
import { errorCodeOf, HTTP_STATUS } from './domain-error.ts';
import { secretCheck, STRANGER_REFUSED } from './gateway-secret.ts';
import type { Logger } from './logger.ts';
import { maskError } from './mask-error.ts';
import { LinkRefused } from './signed-links.ts';
import { refuseStranger, send } from './subgraph-endpoint.ts';
import { runInTrace, traceOf } from './trace-context.ts';

/** A document that is there to be written. */
export interface OpenDocument {
  readonly contentType: string;
  /** Of nothing that needs quoting in a header. */
  readonly fileName: string;
  readonly chunks: () => AsyncGenerator<string | Buffer, void>;
}

/** The last two segments of a link's path. */
export interface DocumentLink {
  readonly token: string;
  readonly file: string;
}

export interface DocumentDoor {
  /** The first segment of the path: `statements`. */
  readonly path: string;
  /** What it gives: `{ one: 'a statement', many: 'Statements' }`. */
  readonly called: { readonly one: string; readonly many: string };
  readonly gatewaySecret: string;
  readonly logger: Logger;
  /** The document that a link is signed for. @throws DomainError (LinkRefused with a status of its own) when there is none */
  readonly open: (link: DocumentLink) => Promise<OpenDocument>;
}

/**
 * Serves `GET /<path>/<token>/<file>` to the gateway: the document that the link is signed for, written while it is read, page by
 * page, as fast as the reader takes it. Refusals are JSON with a code; the link is written to no log.
 */
export function serveDocuments(app: Express, door: DocumentDoor): void {
  const fromGateway = secretCheck(door.gatewaySecret);
  const stranger = `${door.called.many} are given to the gateway only: open the link there`;
  app.get(`/${door.path}/:token/:file`, (request: Request<DocumentLink & Record<string, string>>, response: Response) => {
    if (!fromGateway(request)) return refuseStranger(response, stranger, STRANGER_REFUSED);
    return void runInTrace(traceOf(request.header('traceparent')), () => answer(door, request, response));
  });
}

async function answer({ called, logger, open }: DocumentDoor, { params, method }: Request<DocumentLink & Record<string, string>>, response: Response): Promise<void> {
  try {
    const { contentType, fileName, chunks: write } = await open(params);
    response.setHeader('content-type', contentType);
    response.setHeader('content-disposition', `attachment; filename="${fileName}"`);
    if (method === 'HEAD') return void response.end();
    const chunks = write();
    // With the first one there it has begun well: what fails before can still be refused in words.
    const first = await chunks.next();
    if (first.done === true || response.destroyed) return;
    await pipeline(Readable.from(from(first.value, chunks)), response);
  } catch (error) {
    // Half a document must not look like a whole one: its connection ends without the end of the answer.
    if (response.headersSent) return endUnfinished(response, error, { called, logger });
    response.removeHeader('content-type');
    response.removeHeader('content-disposition');
    const shown = maskError({ message: `${called.many} cannot be made` }, error, logger);
    send(response, error instanceof LinkRefused ? error.status : HTTP_STATUS[errorCodeOf(shown.extensions) ?? 'INTERNAL'], { errors: [shown] });
  }
}

async function* from<Chunk>(first: Chunk, rest: AsyncIterable<Chunk>): AsyncGenerator<Chunk, void> {
  yield first;
  yield* rest;
}

function endUnfinished(response: Response, error: unknown, { called, logger }: Pick<DocumentDoor, 'called' | 'logger'>): void {
  // Whoever closes the window while it comes is no failure.
  if ((error as { code?: unknown }).code !== 'ERR_STREAM_PREMATURE_CLOSE') logger.error({ err: error }, `${called.one} ended before it was whole`);
  response.destroy();
}
