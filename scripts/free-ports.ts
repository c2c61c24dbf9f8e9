import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

// Below the range from which systems take ports for outgoing connections (32768 on Linux, 49152 elsewhere): a port chosen here can't be
// taken by such a connection while its part is being restarted.
const LOWEST_PORT = 15_000;
const HIGHEST_PORT = 32_000;
const MAX_ATTEMPTS = 200;

/** Whether a server could listen there now. */
export async function portIsFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return (await listenError(port, host)) === undefined;
}

/** Why nothing can listen there now, as the system's error; `undefined` when something can. */
export function listenError(port: number, host: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error) => done(error));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(undefined)));
  });
}

/**
 * Different ports that are free on 127.0.0.1 now, none of `except`.
 * @throws when so many are taken that the search fails
 */
export async function chooseFreePorts(count: number, except: readonly number[] = []): Promise<number[]> {
  const chosen = new Set<number>();
  for (let attempt = 0; chosen.size < count; attempt++) {
    if (attempt > MAX_ATTEMPTS) throw new Error(`No ${count} free ports found between ${LOWEST_PORT} and ${HIGHEST_PORT} on 127.0.0.1: stop programs that hold many, then start again.`);
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (!chosen.has(port) && !except.includes(port) && (await portIsFree(port))) chosen.add(port);
  }
  return [...chosen];
}
