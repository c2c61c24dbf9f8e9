import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { startStack, until, type Stack } from '../e2e/stack.ts';

/**
 * How long it takes from sending completeTask until the assignee's new balance arrives over the gateway's WebSocket, with
 * fields of Users and Tasks in its selection, on an idle stack of its own. Beside it, in the same run: the mutation's own
 * answer, and a query that one subgraph answers, so that figures of different machines can be compared as ratios.
 */
const { values: options } = parseArgs({ options: { tasks: { type: 'string', default: '200' }, warmup: { type: 'string', default: '30' } } });
const EMPLOYEES = ['ann', 'bob', 'cleo', 'accountant'].map((name) => `${name}@ates.test`);
const WATCH = 'subscription { balanceChanged { balance account { owner { email } } entry { kind task { id title description } } } }';
const CREATE = 'mutation { createTask(input: { title: "Feed the parrot" }) { id assignee { id } } }';
const COMPLETE = 'mutation ($id: ID!) { completeTask(id: $id) { id } }';
const PAUSE_MS = 20;

interface Entry {
  readonly kind: string;
  readonly task: { readonly id: string };
}

const stack = await startStack();
try {
  await measure(stack, Number(options.tasks), Number(options.warmup));
} finally {
  await stack.stop();
}

async function measure(target: Stack, tasks: number, warmup: number): Promise<void> {
  const arrivals = new Map<string, number>();
  const tokens = new Map<string, string>();
  const disposals: (() => void | Promise<void>)[] = [];
  for (const email of EMPLOYEES) {
    const token = await target.signIn(email);
    const { data } = await target.gql<{ me: { id: string } }>('{ me { id } }', {}, token);
    tokens.set(data?.me.id ?? '', token);
    const client = createClient({ url: target.wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` }, lazy: false });
    disposals.push(() => client.dispose());
    client.subscribe<{ balanceChanged: { entry: Entry } }>(
      { query: WATCH },
      {
        next: ({ data: event, errors }) => {
          if (errors !== undefined) throw new Error(JSON.stringify(errors));
          if (event != null) arrivals.set(`${event.balanceChanged.entry.kind} ${event.balanceChanged.entry.task.id}`, performance.now());
        },
        error: (error) => {
          throw new Error(`the subscription failed: ${JSON.stringify(error)}`);
        },
        complete: () => {},
      },
    );
  }
  const manager = await target.signIn('manager@ates.test');
  const pushed: number[] = [];
  const answered: number[] = [];
  const queried: number[] = [];
  for (let round = 0; round < tasks + warmup; round++) {
    const { data } = await target.gql<{ createTask: { id: string; assignee: { id: string } } }>(CREATE, {}, manager);
    const task = data?.createTask;
    const token = tokens.get(task?.assignee.id ?? '');
    if (task === undefined || token === undefined) throw new Error('no task was made for an employee who is watching');
    await until('the fee has been pushed', 10_000, () => arrivals.has(`FEE ${task.id}`));
    await until('the stack is idle again', 10_000, pause);
    const queriedAt = performance.now();
    await target.gql('{ me { id name } }', {}, token);
    const sentAt = performance.now();
    await target.gql(COMPLETE, { id: task.id }, token);
    const answeredAt = performance.now();
    const key = `REWARD ${task.id}`;
    await until('the reward has been pushed', 10_000, () => arrivals.has(key));
    if (round < warmup) continue;
    queried.push(sentAt - queriedAt);
    answered.push(answeredAt - sentAt);
    pushed.push((arrivals.get(key) as number) - sentAt);
  }
  for (const dispose of disposals) await dispose();
  report({ tasks, pushed, answered, queried });
}

async function pause(): Promise<true> {
  await new Promise((done) => setTimeout(done, PAUSE_MS));
  return true;
}

function report({ tasks, pushed, answered, queried }: { tasks: number; pushed: number[]; answered: number[]; queried: number[] }): void {
  const row = (name: string, values: number[]) => ({ what: name, 'p50 ms': at(values, 0.5), 'p95 ms': at(values, 0.95), 'p99 ms': at(values, 0.99), 'max ms': at(values, 1) });
  process.stdout.write(`${tasks} tasks, one at a time, on an idle stack\n`);
  console.table([row('completeTask sent → balance pushed', pushed), row('completeTask sent → answered', answered), row('a query of one subgraph', queried)]);
  process.stdout.write(`pushed : answered = ${(at(pushed, 0.5) / at(answered, 0.5)).toFixed(2)}, pushed : query = ${(at(pushed, 0.5) / at(queried, 0.5)).toFixed(2)} (medians)\n`);
}

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN) * 10) / 10;
}
