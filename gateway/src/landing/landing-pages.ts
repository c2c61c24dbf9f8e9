import type { IncomingMessage } from 'node:http';
import type { GatewayConfig } from '../config.ts';
import type { Page } from '../http/http-server.ts';
import { graphiqlFiles } from './graphiql-files.ts';
import { graphiqlPage } from './graphiql-page.ts';
import { sandboxPage } from './sandbox-page.ts';

const ENDPOINT = '/graphql';
const GRAPHIQL = '/graphiql';

/**
 * What browsers get: at the endpoint the page of the setting, at `/graphiql` and under it GraphiQL; with `off` nothing anywhere.
 * @returns the page at a request's path, undefined where there is none
 */
export function createLandingPages({ landingPage }: Pick<GatewayConfig, 'landingPage'>): (request: IncomingMessage) => Page | undefined {
  if (landingPage === 'off') return () => undefined;
  const files = graphiqlFiles();
  const graphiql = graphiqlPage(files);
  const atEndpoint = landingPage === 'sandbox' ? sandboxPage : graphiql;
  return ({ url = '/' }) => {
    const path = url.split('?', 1)[0] as string;
    if (path === ENDPOINT) return atEndpoint;
    return path === GRAPHIQL ? graphiql : files.at(path);
  };
}
