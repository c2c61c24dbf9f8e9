import { writeFileSync } from 'node:fs';
import type { CannedNews, CannedOrder, RecordedFetch } from './canned-server.ts';
import type { Child } from './child.ts';
import type { Settings } from './gateways.ts';
import type { Recipe } from './reference.ts';
import type { RunningGateway } from './running.ts';
import { expectedData } from './shop.ts';

/** Answers are held for so long that fetches which do not wait for each other are seen to be at the same time. */
const HOLD_MS = 50;

interface Recording {
  readonly gateway: RunningGateway;
  readonly subgraphs: Child<CannedOrder, CannedNews>;
  readonly settings: Settings;
  readonly queries: readonly string[];
  readonly file: string;
}

/**
 * Writes down, for the reference, what a gateway fetches for each operation, and in which order.
 * @returns how many fetches each operation takes
 */
export async function recordRecipes({ gateway, subgraphs, settings, queries, file }: Recording): Promise<number[]> {
  const recipes: Recipe[] = [];
  for (const query of queries) {
    // Once before it counts: planned, and the subgraphs know their answers.
    await ask(gateway.port, query, settings);
    await subgraphs.ask({ kind: 'record', holdMs: HOLD_MS });
    await ask(gateway.port, query, settings);
    const news = await subgraphs.ask({ kind: 'recorded' });
    recipes.push({ query, waves: news.kind === 'recorded' ? wavesOf(news.fetches, settings) : [], data: expectedData(query) });
  }
  writeFileSync(file, JSON.stringify(recipes));
  return recipes.map(({ waves }) => waves.flat().length);
}

async function ask(port: number, query: string, { tokens }: Settings): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: tokens.authorizations[0] ?? '' };
  const answer = await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  await answer.arrayBuffer();
}

/** A fetch is in the wave after the last one that was answered before it was asked for. */
function wavesOf(fetches: readonly RecordedFetch[], { urls }: Settings): Recipe['waves'] {
  const waves: (RecordedFetch & { readonly origin: string; readonly path: string })[][] = [];
  // Requests without a body only look whether somebody is there.
  for (const fetch of fetches.filter(({ body }) => body !== '').sort((one, other) => one.askedAt - other.askedAt)) {
    const before = waves.findLastIndex((wave) => wave.some(({ answeredAt }) => answeredAt <= fetch.askedAt));
    const { origin, pathname } = new URL(urls[fetch.subgraph] as string);
    (waves[before + 1] ??= []).push({ ...fetch, origin, path: pathname });
  }
  return waves.map((wave) => wave.map(({ origin, path, body }) => ({ origin, path, body })));
}
