import type { IncomingMessage, ServerResponse } from 'node:http';
import { execute, getOperationAST, type GraphQLError, type GraphQLSchema } from 'graphql';
import { CLIENT_ADDRESS_HEADER, CLIENT_AGENT_HEADER, clientOrigin, type ClientOrigin } from './client-origin.ts';
import { DomainError, HTTP_STATUS, type ErrorCode } from './domain-error.ts';
import type { Logger } from './logger.ts';
import { maskError } from './mask-error.ts';
import { asGraphQLError, type PreparedDocument } from './operations.ts';
import { runInTrace, traceOf } from './trace-context.ts';
import { endOperationSpan, nameOperationSpan, startOperationSpan } from './tracing-graphql.ts';
import { tracingIsOn, type OpenSpan } from './tracing.ts';
import type { Authenticator, Viewer } from './viewer.ts';

export interface SubgraphEndpointOptions {
  readonly schema: GraphQLSchema;
  readonly prepare: (query: string) => PreparedDocument;
  readonly authenticator: Authenticator;
  readonly createContext: (viewer: Viewer | null, client: ClientOrigin) => object;
  readonly logger: Logger;
}

interface Operation {
  readonly query: string;
  readonly operationName: string | null | undefined;
  readonly variables: Readonly<Record<string, unknown>> | null | undefined;
}

interface Answer {
  readonly status: number;
  readonly body: { readonly errors?: readonly { readonly extensions?: { readonly [name: string]: unknown } }[] };
}

const BODY_MAX_BYTES = 4 * 1024 * 1024;

/**
 * GraphQL over HTTP for one client, the gateway: POST with JSON. What a public server needs besides (GET, negotiation,
 * persisted queries, protection of browsers) is the gateway's; without it a small operation takes a third of the time.
 */
export function createSubgraphEndpoint(options: SubgraphEndpointOptions): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const trace = traceOf(headerOf(request, 'traceparent'));
    const span = tracingIsOn() ? startOperationSpan(trace) : undefined;
    runInTrace(span?.trace ?? trace, () => {
      answer(options, request, span).then(
        ({ status, body }) => {
          endOperationSpan(span, body.errors);
          send(response, status, body);
        },
        (error: unknown) => {
          endOperationSpan(span, [{}]);
          options.logger.error({ err: error }, 'a request failed before it could be answered');
          response.destroy();
        },
      );
    });
  };
}

/** Sends a JSON body. */
export function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

async function answer({ schema, prepare, authenticator, createContext, logger }: SubgraphEndpointOptions, request: IncomingMessage, span: OpenSpan | undefined): Promise<Answer> {
  const refuse = (status: number, ...errors: readonly GraphQLError[]): Answer => ({
    status,
    body: { errors: errors.map((error) => maskError(error.toJSON(), error, logger)) },
  });
  try {
    const client = clientOrigin(request.headers[CLIENT_ADDRESS_HEADER], request.headers[CLIENT_AGENT_HEADER]);
    const contextValue = createContext(await authenticator.authenticate(request.headers.authorization), client);
    const { query, operationName, variables } = readOperation(await readBody(request));
    const prepared = prepare(query);
    if ('errors' in prepared) return refuse(400, ...prepared.errors);
    if (span !== undefined) nameOperationSpan(span, { name: operationName, type: getOperationAST(prepared.document, operationName)?.operation ?? 'query' });
    const result = await execute({ schema, document: prepared.document, operationName, variableValues: variables, contextValue });
    if (result.errors === undefined) return { status: 200, body: result };
    const errors = result.errors.map((error) => maskError(error.toJSON(), error, logger));
    return { status: 'data' in result ? 200 : 400, body: { ...result, errors } };
  } catch (error) {
    return refuse(error instanceof DomainError ? HTTP_STATUS[error.code] : 500, asGraphQLError(error));
  }
}

function readOperation(body: string): Operation {
  const operation = parseJson(body) as Partial<Operation> | null;
  if (typeof operation !== 'object' || operation === null || typeof operation.query !== 'string') {
    throw new DomainError('BAD_USER_INPUT', 'The body is no GraphQL request: POST {"query": "…", "variables": {…}} as JSON');
  }
  return operation as Operation;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) throw new DomainError('BAD_USER_INPUT', `The body is larger than ${BODY_MAX_BYTES} bytes: send less at once`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The answer to whoever does not bring the gateway's secret. */
export function refuseStranger(response: ServerResponse, message: string, reason: string): void {
  send(response, 403, { errors: [{ message, extensions: { code: 'FORBIDDEN' satisfies ErrorCode, reason } }] });
}
