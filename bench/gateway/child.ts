import { spawn, spawnSync, type ChildProcess } from 'node:child_process';

/** A process of the bench's own that is told things and answers, one at a time. */
export interface Child<Order, News> {
  readonly pid: number;
  /** What it has said first. */
  readonly hello: News;
  /** @throws Error when the process ends before it has answered. */
  ask(order: Order): Promise<News>;
  stop(): Promise<void>;
}

/** Cores that programs are to run on, as taskset writes them; undefined for any. */
export type Cores = string | undefined;

/** Whether programs can be told here on which cores to run. */
export function canPin(): boolean {
  return spawnSync('taskset', ['--version']).status === 0;
}

/** A command that runs on these cores alone. */
export function pinned(cores: Cores, command: readonly string[]): readonly [program: string, ...args: string[]] {
  const [program = '', ...args] = cores === undefined ? command : ['taskset', '--cpu-list', cores, ...command];
  return [program, ...args];
}

/** Starts a module of this folder and waits until it has said something. */
export async function startChild<Order extends object, News>(file: string, cores: Cores): Promise<Child<Order, News>> {
  const [program, ...args] = pinned(cores, [process.execPath, '--max-old-space-size=4096', file]);
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const hello = await answerOf<News>(child, file);
  return {
    pid: child.pid as number,
    hello,
    ask: (order) => {
      const answer = answerOf<News>(child, file);
      child.send(order);
      return answer;
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function answerOf<News>(child: ChildProcess, file: string): Promise<News> {
  return new Promise((resolve, reject) => {
    const onMessage = (news: unknown): void => {
      child.off('exit', onExit);
      child.off('error', reject);
      resolve(news as News);
    };
    const onExit = (): void => {
      child.off('message', onMessage);
      reject(new Error(`${file} has ended without an answer`));
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
    child.once('error', reject);
  });
}
