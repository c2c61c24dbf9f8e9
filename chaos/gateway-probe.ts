import { setTimeout as delay } from 'node:timers/promises';

/** What a process takes, in bytes, after its garbage was collected. */
export interface Memory {
  readonly rss: number;
  /** Objects of JavaScript. */
  readonly heap: number;
  /** What they hold outside of the heap. */
  readonly external: number;
}

/** Loaded into the gateway by `--import`, beside its own code: tells what the process takes whenever something comes over its channel. */
process.on('message', () => void collected().then((memory) => process.send?.(memory)));
process.channel?.unref();

async function collected(): Promise<Memory> {
  // Finalizers run between collections and free more.
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await delay(50);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, external };
}
