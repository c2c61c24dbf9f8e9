import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startStack, type GraphQLAnswer, type Stack } from './support/stack.ts';

/**
 * Of processor time, client and gateway together, the best of five, on a machine that may have much else to do: what is not bounded takes seconds.
 * How long it takes on a quiet one, 50 ms at most, is measured by `npm run chaos:gateway -- --hostile`.
 */
const REFUSED_WITHIN_MS = 250;
/** Loose, since tests share their machine; on one that is slow anyway the bystander may wait ten times as long as without an attack. */
const BYSTANDER_P99_MS = 500;
const BYSTANDER_SLOWER = 10;

const times = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');
const sequels = (levels: number, inner: string): string => `${'sequel { '.repeat(levels)} ${inner} ${'}'.repeat(levels)}`;

interface Hostile {
  readonly query: string;
  readonly variables?: Record<string, unknown>;
}

/** Each document with the limit, or else the reason, that refuses it. */
const HOSTILE: [name: string, refusal: string, request: Hostile][] = [
  ['a deep one', 'maxDepth', { query: `{ book(id: "b1") { ${sequels(200, 'id')} } }` }],
  ['one that is deep in fragments', 'maxDepth', { query: `{ book(id: "b1") { ...F0 } } ${times(40, (n) => `fragment F${n} on Book { sequel { ...F${n + 1} } }`)} fragment F40 on Book { id }` }],
  ['a wide one', 'repeats', { query: `{ ${times(900, () => 'whoami')} }` }],
  ['one with many different fields', 'maxAliases', { query: `{ ${times(300, (n) => `a${n}: whoami`)} }` }],
  ['one of 60,000 fields', 'maxTokens', { query: `{ ${times(30_000, () => 'whoami')} }` }],
  ['one of 100,000 braces', 'maxTokens', { query: '{a'.repeat(100_000) }],
  ['a bomb of fragments', 'selections', { query: `{ book(id: "b1") { ...F0 } } ${times(60, (n) => `fragment F${n} on Book { ...F${n + 1} ...F${n + 1} }`)} fragment F60 on Book { id }` }],
  ['a bomb of fragments at the root', 'rootFields', { query: `{ ...F0 } ${times(60, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)} fragment F60 on Query { whoami }` }],
  ['a circle of fragments', 'GRAPHQL_VALIDATION_FAILED', { query: `{ ...F0 } ${times(100, (n) => `fragment F${n} on Query { ...F${(n + 1) % 100} }`)}` }],
  ['a flood of directives', 'directives', { query: `{ whoami ${'@x '.repeat(480)} }` }],
  ['a flood of unknown fields', 'GRAPHQL_VALIDATION_FAILED', { query: `{ book(id: "b1") { ${times(900, (n) => `titel${n}`)} } }` }],
  ['a flood of lists in one another', 'OPERATION_TOO_EXPENSIVE', { query: `{ books { ${'reviews { book { '.repeat(4)} id ${'} }'.repeat(4)} } }` }],
  ['one with a huge list of variables', 'variableValues', { query: 'query ($text: String) { list(text: $text) }', variables: { text: 'a', unused: Array.from({ length: 50_000 }, () => ({})) } }],
  ['one with variables deep in one another', 'variablesNesting', { query: 'query ($text: String) { list(text: $text) }', variables: { text: JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) } }],
  ['one that declares many variables', 'maxTokens', { query: `query (${times(300, (n) => `$v${n}:ID`)}) { whoami }` }],
  ['an introspection within an introspection', 'GRAPHQL_VALIDATION_FAILED', { query: `{ __schema { types { ${'fields { type { '.repeat(6)} name ${'} }'.repeat(6)} } } }` }],
];

const refusalOf = ({ errors }: Pick<GraphQLAnswer, 'errors'>): unknown[] => [errors?.[0]?.extensions['code'], errors?.[0]?.extensions['limit'] ?? errors?.[0]?.extensions['reason']];

let stack: Stack;
beforeAll(async () => {
  // Lists of the library are assumed to be short: four in one another cost 10,000 and more.
  stack = await startStack({}, { MAX_COST: '5000' });
});
afterAll(() => stack.stop());

function processorMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Asks again and again until told to stop, one question at a time. @returns how long each took, in milliseconds. */
function bystand(): { stop(): Promise<number[]> } {
  let isStopped = false;
  const asking = (async () => {
    const durations: number[] = [];
    while (!isStopped) {
      const startedAt = performance.now();
      const { errors, data } = await stack.query('{ me { id } }');
      if (errors !== undefined || data.me === null) throw new Error(`The bystander was refused: ${JSON.stringify(errors)}`);
      durations.push(performance.now() - startedAt);
    }
    return durations;
  })();
  return {
    stop: () => {
      isStopped = true;
      return asking;
    },
  };
}

const p99 = (durations: readonly number[]): number => durations.toSorted((one, other) => one - other)[Math.ceil(durations.length * 0.99) - 1] ?? Infinity;

describe('A hostile request over HTTP', () => {
  test.each(HOSTILE)('is refused soon: %s', async (_name, refusal, { query, variables }) => {
    const durations: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      // A text of its own each time: what was refused may be remembered.
      const text = `# ${round}\n${query}`;
      const before = process.cpuUsage();
      const answer = await stack.query(text, { variables });
      durations.push(processorMs(before));
      expect([answer.status, ...refusalOf(answer)]).toEqual([400, 'BAD_USER_INPUT', refusal]);
      expect(answer.errors?.length).toBeLessThanOrEqual(25);
    }
    expect(Math.min(...durations)).toBeLessThan(REFUSED_WITHIN_MS);
  });

  test('leaves a bystander their answers', async () => {
    const alone = bystand();
    for (let n = 0; n < 30; n += 1) await stack.query('{ whoami }');
    const undisturbed = p99(await alone.stop());
    const rounds: number[] = [];
    let texts = 0;
    const attack = async (): Promise<void> => {
      for (const [, , { query, variables }] of HOSTILE) await stack.query(`# attack ${(texts += 1)}\n${query}`, { variables });
    };
    // The best of three, for the same reason.
    for (let round = 0; round < 3; round += 1) {
      const bystander = bystand();
      for (let wave = 0; wave < 3; wave += 1) await Promise.all([attack(), attack(), attack()]);
      const durations = await bystander.stop();
      expect(durations.length).toBeGreaterThan(3);
      rounds.push(p99(durations));
    }
    expect(Math.min(...rounds)).toBeLessThan(Math.max(BYSTANDER_P99_MS, BYSTANDER_SLOWER * undisturbed));
  });
});

describe('A hostile request over a socket', () => {
  // A socket takes smaller messages.
  test.each(HOSTILE.filter(([, , request]) => JSON.stringify(request).length < 60_000))('is refused the same: %s', async (_name, refusal, request) => {
    const client = await stack.socketClient();
    const durations: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const before = process.cpuUsage();
      const refused = await new Promise<unknown>((resolve, reject) => {
        client.subscribe({ ...request, query: `# socket ${round}\n${request.query}` }, { next: resolve, error: resolve, complete: () => reject(new Error('it was completed')) });
      });
      durations.push(processorMs(before));
      expect(refusalOf({ errors: (Array.isArray(refused) ? refused : (refused as { errors: unknown }).errors) as GraphQLAnswer['errors'] })).toEqual(['BAD_USER_INPUT', refusal]);
    }
    expect(Math.min(...durations)).toBeLessThan(REFUSED_WITHIN_MS);
    await client.dispose();
  });
});
