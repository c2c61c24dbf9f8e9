import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { composeSupergraph } from '../../rover/compose.ts';
import { dieWithParent } from '../../scripts/die-with-parent.ts';
import { eventually } from './support/eventually.ts';

const PROGRAM = resolve(import.meta.dirname, '../src/main.ts');
const SCHEMA = 'type Query { shelf(id: ID!): Shelf } type Shelf { id: ID! label: String }';
const REQUEST = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ shelf(id: 1) { label } }' }) };

interface RunningProgram {
  readonly process: ChildProcess;
  readonly output: string[];
  /** The URL of its GraphQL, as it says itself. */
  url(): Promise<string>;
}

let folder: string;
let subgraph: Server;
const asked: IncomingHttpHeaders[] = [];
const running: ChildProcess[] = [];
beforeAll(async () => {
  subgraph = createServer((request, response) => {
    asked.push(request.headers);
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end('{"data":{"shelf":{"label":"Parrots"}}}'));
  });
  await once(subgraph.listen(0, '127.0.0.1'), 'listening');
  folder = await mkdtemp(join(tmpdir(), 'gateway-program-'));
  await writeFile(join(folder, 'shelves.graphql'), `extend schema @link(url: "https://specs.apollo.dev/federation/v2.7") ${SCHEMA}`);
  const { port } = subgraph.address() as AddressInfo;
  await writeFile(join(folder, 'supergraph.yaml'), `federation_version: =2.14.4\nsubgraphs:\n  shelves:\n    routing_url: http://127.0.0.1:${port}/graphql\n    schema: { file: shelves.graphql }\n`);
  await writeFile(join(folder, 'library.graphql'), await composeSupergraph(join(folder, 'supergraph.yaml')));
});
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  subgraph?.closeAllConnections();
  subgraph?.close();
  await rm(folder, { recursive: true });
});

/** The program, started in the folder of the supergraph with nothing in its environment but where Node finds things. */
function start(...args: string[]): RunningProgram {
  const { file, args: all } = dieWithParent({ file: process.execPath, args: [PROGRAM, ...args] });
  const child = spawn(file, all, { cwd: folder, env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => void output.push(String(text)));
  const url = () => eventually('where it listens', () => /http:\/\/127\.0\.0\.1:\d+\/graphql/.exec(output.join(''))?.[0]);
  return { process: child, output, url };
}

describe('The program', () => {
  let program: RunningProgram;
  let url: string;
  beforeAll(async () => {
    program = start('--supergraph', 'library.graphql', '--port', '0', '--no-auth');
    url = await program.url();
  });

  test('serves any supergraph in a relative file, and says once where it listens', async () => {
    const response = await fetch(url, REQUEST);
    expect([response.status, await response.json()]).toEqual([200, { data: { shelf: { label: 'Parrots' } } }]);
    expect(program.output.join('').match(/http:\/\/127\.0\.0\.1:\d+\/graphql/g)).toHaveLength(1);
  });

  test('passes on any Authorization as it is, and asks the subgraphs without a secret', async () => {
    const response = await fetch(url, { ...REQUEST, headers: { ...REQUEST.headers, authorization: 'Basic of-another-kind' } });
    expect(response.status).toBe(200);
    expect(asked.at(-1)).toMatchObject({ authorization: 'Basic of-another-kind' });
    expect(asked.at(-1)).not.toHaveProperty('x-gateway-secret');
  });

  test('accepts sockets without a token', async () => {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
    await once(socket, 'open');
    socket.send('{"type":"connection_init"}');
    expect(String((await once(socket, 'message'))[0])).toBe('{"type":"connection_ack"}');
    socket.close();
  });

  test('has nothing to say of revocations, of which nobody tells it', async () => {
    expect((await fetch(url.replace('/graphql', '/readyz'))).status).toBe(200);
    expect(program.output.join('')).not.toMatch(/"level":(?:50|60|"error"|"fatal")|revocation/);
  });

  test('ends with 0 when it is asked to', async () => {
    program.process.kill('SIGTERM');
    expect(await once(program.process, 'exit')).toEqual([0, null]);
  });
});

test.each([
  ['what is wrong', ['--supergraph', 'nowhere.graphql', '--no-auth'], 1, /^The gateway cannot start[^]*--supergraph \(SUPERGRAPH_FILE\): can't be used \(ENOENT[^]*nowhere\.graphql/],
  ['its options', ['--help'], 0, /^Serves the subgraphs[^]*--supergraph FILE/],
])('The program tells %s, and ends', async (_what, args, code, text) => {
  const { process: child, output } = start(...args);
  expect(await once(child, 'close')).toEqual([code, null]);
  expect(output.join('')).toMatch(text);
  expect(output.join('')).not.toMatch(/^ {4}at /m);
});
