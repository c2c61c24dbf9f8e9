import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

export interface OutsideProvider {
  readonly issuer: string;
  /** Signs in there as a browser would, and comes back with an access token. */
  signIn(sub: string, resource?: string): Promise<string>;
  stop(): Promise<void>;
}

const CALLBACK = 'https://ates.test/callback';

/** Starts a real OpenID provider. @param accounts what it knows of whom, by `sub` */
export async function startOutsideProvider(accounts: Readonly<Record<string, object>>): Promise<OutsideProvider> {
  const script = resolve(import.meta.dirname, 'identity-provider.ts');
  const child: ChildProcess = spawn(process.execPath, [script], { env: { PATH: process.env['PATH'], ACCOUNTS: JSON.stringify(accounts) }, stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer];
  const issuer = line.toString().trim().split('\n').at(-1) ?? '';
  return {
    issuer,
    signIn: (sub, resource) => signIn(issuer, sub, resource),
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function signIn(issuer: string, sub: string, resource?: string): Promise<string> {
  const cookies = new Map<string, string>();
  const visit = async (url: string, form?: Record<string, string>): Promise<string> => {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (cookie.split(';')[0] ?? '').split(/=(.*)/s);
      cookies.set(name, value);
    }
    await response.text();
    const location = response.headers.get('location');
    if (location === null) throw new Error(`${url} leads nowhere (${response.status})`);
    return new URL(location, url).href;
  };
  const query = new URLSearchParams({ client_id: 'ates', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid email profile', ...(resource && { resource }) });
  let at = await visit(`${issuer}/auth?${query.toString()}`);
  for (const prompt of ['login', 'consent']) {
    at = await visit(at, { prompt, login: sub, password: 'any' });
    at = await visit(at);
  }
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('ates:popug')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: new URL(at).searchParams.get('code') ?? '', redirect_uri: CALLBACK, ...(resource && { resource }) }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`There is no token for ${sub} (${response.status})`);
  return token;
}
