import type { Health } from '@ates/service-kit/health';
import type { Federation } from './federation.ts';
import type { SubgraphClient } from './subgraph-client.ts';

const REMEMBERED_MS = 1_000;

/**
 * Readiness of the gateway: it can work when its supergraph is loaded and every subgraph has been seen ready once. A subgraph
 * that is down later costs its own fields only, so it is shown and takes nothing out of service. A check of the
 * subgraphs is remembered for a second, whoever asks how often.
 */
export function addReadiness(health: Health, federation: Federation): void {
  const seenReady = new Set<string>();
  const remembered = new Map<string, { readonly askedAt: number; readonly answer: Promise<string | null> }>();

  const check = async (subgraph: SubgraphClient): Promise<string | null> => {
    const last = remembered.get(subgraph.name);
    if (last !== undefined && Date.now() - last.askedAt < REMEMBERED_MS) return last.answer;
    const answer = subgraph.check();
    remembered.set(subgraph.name, { askedAt: Date.now(), answer });
    const problem = await answer;
    if (problem === null) seenReady.add(subgraph.name);
    return problem;
  };

  health.add('supergraph', () => (federation.current() === undefined ? 'is not loaded yet' : null));
  federation.onLoad(() => {
    for (const { name } of federation.subgraphs()) {
      health.show(`subgraph ${name}`, async () => {
        const subgraph = federation.subgraphs().find((candidate) => candidate.name === name);
        return subgraph === undefined ? null : check(subgraph);
      });
    }
  });
  health.add('subgraphs seen ready', async () => {
    const missing = federation.subgraphs().filter(({ name }) => !seenReady.has(name));
    const problems = await Promise.all(missing.map(async (subgraph) => ({ name: subgraph.name, problem: await check(subgraph) })));
    const waiting = problems.filter(({ problem }) => problem !== null);
    return waiting.length === 0 ? null : waiting.map(({ name, problem }) => `${name} ${problem}`).join('; ');
  });
}
