import { runLoad, type LoadOrder, type LoadResult } from './load-generator.ts';

/** What the process says: at first that it is there, then how each load went. */
export type LoadNews = { readonly kind: 'ready' } | { readonly kind: 'result'; readonly result: LoadResult } | { readonly kind: 'failed'; readonly problem: string };

/** A process of its own, so that it can have cores of its own: runs the loads that it is told to. */
process.on('message', (order: LoadOrder) => {
  runLoad(order).then(
    (result) => tell({ kind: 'result', result }),
    (error: unknown) => tell({ kind: 'failed', problem: (error as Error).message }),
  );
});
// Whoever has started it is gone.
process.on('disconnect', () => process.exit());

function tell(news: LoadNews): void {
  process.send?.(news);
}

tell({ kind: 'ready' });
