import { createHash } from 'node:crypto';
import { createContext, runInContext, Script } from 'node:vm';
import { createHealth } from '@ates/service-kit/health';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { GatewayConfig } from '../src/config.ts';
import { startHttpServer, type RunningHttpServer } from '../src/http/http-server.ts';
import { createLandingPages } from '../src/landing/landing-pages.ts';

const running: RunningHttpServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

async function start(landingPage: GatewayConfig['landingPage']): Promise<string> {
  const parts = { health: createHealth(), metrics: createMetrics('gateway'), logger: createLogger('gateway', 'silent'), graphql: () => undefined, doors: [], landingPage: createLandingPages({ landingPage }) };
  const server = await startHttpServer(parts, '127.0.0.1', 0);
  running.push(server);
  return `http://127.0.0.1:${server.port}`;
}

const open = (url: string) => fetch(url, { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
const inline = (html: string, element: 'script' | 'style') => [...html.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, 'g'))].map(([, text]) => text as string);
const addresses = (html: string) => [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address as string).filter((address) => !address.startsWith('data:'));
const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const policyOf = ({ headers }: Response) => Object.fromEntries((headers.get('content-security-policy') ?? '').split('; ').map((each) => [each.split(' ')[0], each.split(' ').slice(1)]));

describe('A browser at the endpoint', () => {
  test('gets the Sandbox for that very address, and a way to GraphiQL where the network is not reachable', async () => {
    const root = await start('sandbox');
    const page = await open(`${root}/graphql`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const html = await page.text();
    expect(html).toMatch(/location\.origin \+ location\.pathname/);
    expect(html).toMatch(/document: 'query \{ __typename \}', includeCookies: false/);
    expect(html).toMatch(/could not be loaded[^]*<noscript>|<noscript>[^]*could not be loaded/);
    expect(addresses(html)).toEqual(['graphiql']);
    expect((await open(new URL('graphiql', page.url).href)).status).toBe(200);
  });

  test('gets GraphiQL when that is the setting', async () => {
    const html = await (await open(`${await start('graphiql')}/graphql`)).text();
    expect(html).toContain('<title>GraphiQL</title>');
    expect(html).not.toContain('https://');
  });

  test('gets no page anywhere when pages are off', async () => {
    const root = await start('off');
    for (const path of ['/graphql', '/graphiql', '/graphiql/react@18.3.1/umd/react.production.min.js']) expect((await open(`${root}${path}`)).status).toBe(404);
  });

  test.each(['sandbox', 'graphiql'] as const)('gets a page (%s) that runs its own scripts alone, in nobody’s frame, and never sees what the request said', async (landingPage) => {
    const root = await start(landingPage);
    const page = await open(`${root}/graphql?x=<script>alert(1)</script>`);
    const html = await page.text();
    const policy = policyOf(page);
    expect(policy).toMatchObject({ 'default-src': ["'none'"], 'base-uri': ["'none'"], 'form-action': ["'none'"], 'frame-ancestors': ["'none'"] });
    expect(policy['script-src']).not.toContain("'unsafe-inline'");
    for (const script of inline(html, 'script')) expect(policy['script-src']).toContain(hash(script));
    if (landingPage === 'sandbox') for (const style of inline(html, 'style')) expect(policy['style-src']).toContain(hash(style));
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(html).toBe(await (await open(`${root}/graphql`)).text());
  });
});

describe('GraphiQL', () => {
  test('consists of files that the gateway serves itself, by versioned addresses, less than 2 MB together', async () => {
    const page = await open(`${await start('sandbox')}/graphiql`);
    const html = await page.text();
    const files = await Promise.all(
      addresses(html).map(async (address) => {
        const response = await fetch(new URL(address, page.url));
        const { headers, status } = response;
        return { address, status, type: headers.get('content-type'), sniffed: headers.get('x-content-type-options'), caching: headers.get('cache-control'), text: await response.text() };
      }),
    );
    expect(files).toHaveLength(5);
    for (const { address, status, type, sniffed, caching } of files) {
      expect({ address, status, type, sniffed, caching }).toEqual({
        address: expect.stringMatching(/^graphiql\/[a-z-]+@\d+\.\d+\.\d+\//),
        status: 200,
        type: address.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
        sniffed: 'nosniff',
        caching: 'public, max-age=31536000, immutable',
      });
    }
    expect(files.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)).toBeLessThan(2_000_000);
    const scripts = files.filter(({ type }) => type?.includes('javascript')).map(({ text }) => text);
    for (const script of [...scripts, ...inline(html, 'script')]) expect(() => new Script(script)).not.toThrow();
  });

  test('has the clients of its page: React, a WebSocket client, a fetcher', async () => {
    const root = await start('graphiql');
    const html = await (await open(`${root}/graphiql`)).text();
    const text = async (part: string) => (await fetch(`${root}/${addresses(html).find((address) => address.includes(part))}`)).text();
    const browser = createContext({});
    runInContext('globalThis.self = globalThis', browser);
    runInContext(await text('react.production'), browser);
    runInContext(await text('graphql-ws'), browser);
    expect(runInContext('typeof React.createElement + typeof graphqlWs.createClient', browser)).toBe('functionfunction');
    expect(await text('graphiql.min.js')).toContain('createFetcher:');
    expect(await text('react-dom')).toContain('createRoot=');
  });

  test.each(['/graphiql/', '/graphiql/package.json', '/graphiql/graphiql@4.1.2/package.json', '/graphiql/../package.json', '/graphiql/%2e%2e/gateway/package.json', '/graphiql/react@18.3.1/../../package.json', '/graphiqlx'])(
    'serves nothing else: not %s',
    async (path) => {
      expect((await open(`${await start('graphiql')}${path}`)).status).toBe(404);
    },
  );
});
