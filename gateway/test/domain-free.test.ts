import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, isObjectType } from 'graphql';
import { expect, test } from '@jest/globals';
import { subgraphsOf } from '../src/supergraph-file.ts';

const SOURCE = join(import.meta.dirname, '../src');
const SUPERGRAPH = readFileSync(join(import.meta.dirname, '../../rover/supergraph.graphql'), 'utf8');

/** Words of the project's domain that are words of any gateway too. */
const COINCIDENCES = ['Query', 'Mutation', 'Subscription', 'PageInfo', 'user', 'users', 'Users'];

function wordsOfTheDomain(): string[] {
  const schema = buildSchema(SUPERGRAPH, { assumeValidSDL: true });
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) => Object.keys(type?.getFields() ?? {}));
  const types = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.name.startsWith('__')).map(({ name }) => name);
  const subgraphs = subgraphsOf(SUPERGRAPH).flatMap(({ name }) => [name, `${name[0]?.toUpperCase()}${name.slice(1)}`]);
  return [...new Set([...roots, ...types, ...subgraphs])].filter((word) => !COINCIDENCES.includes(word));
}

test('the gateway names no subgraph, type or root field of the project, in no word of its source', () => {
  const words = wordsOfTheDomain();
  expect(words.length).toBeGreaterThan(50);
  const anyOfThem = new RegExp(`\\b(?:${words.join('|')})\\b`, 'g');
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const found = files.flatMap((file) =>
    readFileSync(join(SOURCE, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => [...line.matchAll(anyOfThem)].map(([word]) => `${file}:${index + 1}: ${word}`)),
  );
  expect(found).toEqual([]);
});
