import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Memory } from './subscriptions-probe.ts';

/** A process of the bench that is told what to do and answers over its channel. */
export interface Part {
  tell(message: object): void;
  /** The first answer that has such a member. */
  answer<Value>(member: string): Promise<Value>;
  ask<Value>(message: object, member: string): Promise<Value>;
  stop(): Promise<void>;
}

interface Start {
  readonly file: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A server whose memory is asked for. */
  readonly isProbed?: boolean;
}

const HERE = import.meta.dirname;

export function startPart({ file, args = [], env = {}, isProbed = false }: Start): Part {
  const execArgv = isProbed ? ['--expose-gc', '--import', join(HERE, 'subscriptions-probe.ts')] : [];
  const child = fork(join(HERE, file), args, { execArgv, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const answer = <Value>(member: string): Promise<Value> =>
    new Promise((resolve, reject) => {
      const left = (code: number | null): void => reject(new Error(`${file} ended with ${code} before it told of ${member}`));
      const heard = (message: unknown): void => {
        const told = message as Record<string, unknown>;
        if (told['failed'] === undefined && !(member in told)) return;
        child.off('message', heard).off('exit', left);
        if (member in told) resolve(told[member] as Value);
        else reject(new Error(`${file}: ${String(told['failed'])}`));
      };
      child.on('message', heard).once('exit', left);
    });
  return {
    tell: (message) => void child.send(message),
    answer,
    ask: (message, member) => {
      const answered = answer<never>(member);
      child.send(message);
      return answered;
    },
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  const cut = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await once(child, 'exit');
  clearTimeout(cut);
}

export function memoryOf(part: Part): Promise<Memory> {
  return part.ask<Memory>({ ask: 'memory' }, 'memory');
}

/** Signs access tokens for users 0 to `count`, and publishes the key. */
export async function startTokens(count: number): Promise<{ readonly tokens: string[]; readonly env: Record<string, string>; stop(): void }> {
  const { exportJWK, generateKeyPair, SignJWT } = await import('jose');
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' }];
  const server = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tokens = await Promise.all(
    Array.from({ length: count }, (_, n) =>
      new SignJWT({ sid: `session-${n}`, ver: 1, roles: ['READER'], assurance: 'full' })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })
        .setSubject(`user-${n}`)
        .setIssuer('https://issuer.bench')
        .setAudience('bench')
        .setIssuedAt()
        .setExpirationTime('2h')
        .sign(privateKey),
    ),
  );
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  return { tokens, env: { JWKS_URL: jwksUrl, TOKEN_ISSUER: 'https://issuer.bench', TOKEN_AUDIENCE: 'bench' }, stop: () => void server.close() };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
