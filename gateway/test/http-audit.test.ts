import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serverAudits } from 'graphql-http';
import { startStack, type Stack } from './support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());

/** The audits of the GraphQL-over-HTTP specification, as their authors keep them; requests are sent as they are, by nobody. */
const audits = serverAudits({ url: () => stack.url });

describe('The GraphQL-over-HTTP specification', () => {
  test('has as many audits as are run here', () => {
    expect(audits).toHaveLength(61);
  });

  test.each(audits.map(({ id, name, fn }) => [`${id}: ${name}`, fn] as const))('%s', async (_name, fn) => {
    const result = await fn();
    expect(result).toMatchObject({ status: 'ok' });
  });
});
