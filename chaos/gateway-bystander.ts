import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** Somebody with a sound query every so often, who is not to notice what others send. */
export interface Bystander {
  /** What there was since the last report. */
  report(): Promise<BystanderReport>;
  stop(): Promise<void>;
}

export interface BystanderReport {
  /** How long each answer took, in milliseconds, ascending. */
  readonly durations: readonly number[];
  /** Each answer that was not the right one. */
  readonly problems: readonly string[];
}

const EVERY_MS = 20;
const GIVE_UP_MS = 10_000;
const PROBLEMS_MAX = 20;
const QUERY = 'query Bystander($id: ID!) { tree(id: $id) { id name picker { name } } }';
const expected = (id: string): string => JSON.stringify({ data: { tree: { id, name: `tree ${id}`, picker: { name: 'picker k1' } } } });

/** In a thread of its own, so that it is the gateway's time that is taken. */
export function startBystander(port: number): Bystander {
  const worker = new Worker(new URL(import.meta.url), { workerData: { bystanderOf: port } });
  return {
    report: async () => {
      // oxlint-disable-next-line require-post-message-target-origin -- a thread, no window
      worker.postMessage('report');
      return ((await once(worker, 'message')) as [BystanderReport])[0];
    },
    stop: async () => void (await worker.terminate()),
  };
}

/** The part of a percentage of them, as "99". @returns milliseconds */
export function percentile(durations: readonly number[], percent: number): number {
  return durations[Math.min(durations.length - 1, Math.ceil((durations.length * percent) / 100) - 1)] ?? 0;
}

function stand(port: number): void {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  let durations: number[] = [];
  let problems: string[] = [];
  let count = 0;
  const complain = (problem: string): void => void (problems.length < PROBLEMS_MAX && problems.push(problem));
  const ask = (): void => {
    const id = `b${(count += 1) % 100}`;
    const body = JSON.stringify({ query: QUERY, variables: { id } });
    const startedAt = performance.now();
    const asking = request({ port, agent, path: '/graphql', method: 'POST', timeout: GIVE_UP_MS, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        durations.push(performance.now() - startedAt);
        if (text !== expected(id)) complain(`${response.statusCode} ${text}`);
      });
    });
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${GIVE_UP_MS} ms`)));
    asking.on('error', (error) => complain(error.message));
    asking.end(body);
  };
  setInterval(ask, EVERY_MS);
  parentPort?.on('message', () => {
    // oxlint-disable-next-line require-post-message-target-origin -- as above
    parentPort?.postMessage({ durations: durations.toSorted((a, b) => a - b), problems });
    durations = [];
    problems = [];
  });
}

const { bystanderOf } = (workerData ?? {}) as { readonly bystanderOf?: number };
if (bystanderOf !== undefined) stand(bystanderOf);
