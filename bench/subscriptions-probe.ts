import { setTimeout as wait } from 'node:timers/promises';

/** What a process takes, in bytes, after its garbage was collected. */
export interface Memory {
  readonly rss: number;
  /** Of JavaScript: objects, and what they hold outside of the heap. */
  readonly heap: number;
}

/** Loaded into a server by `--import`, beside its own code: tells what the server takes when it is asked over the process's channel. */
process.on('message', (message) => {
  if ((message as { ask?: string }).ask === 'memory') void collected().then((memory) => process.send?.({ memory }));
  if ((message as { ask?: string }).ask === 'cpu') process.send?.({ cpu: process.cpuUsage() });
});
process.channel?.unref();

async function collected(): Promise<Memory> {
  // Finalizers run between collections and free more.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await wait(100);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
