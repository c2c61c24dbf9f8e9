import type { Client, SubscribePayload } from 'graphql-ws';
import { eventually } from './eventually.ts';

/** A client's subscription with everything that it was told. */
export interface Subscriber {
  // oxlint-disable-next-line no-explicit-any -- results of many shapes, looked into by tests
  readonly results: any[];
  // oxlint-disable-next-line no-explicit-any -- errors or a close event
  readonly error: any;
  readonly completed: boolean;
  /** The n-th result, counted from 1, once it is there. */
  // oxlint-disable-next-line no-explicit-any -- as above
  result(n: number): Promise<any>;
  // oxlint-disable-next-line no-explicit-any -- as above
  failure(): Promise<any>;
  unsubscribe(): void;
}

export function subscribe(client: Client, payload: SubscribePayload): Subscriber {
  const state = { results: [] as unknown[], error: undefined as unknown, completed: false };
  const unsubscribe = client.subscribe(payload, {
    next: (result) => void state.results.push(result),
    error: (error) => {
      state.error = error;
    },
    complete: () => {
      state.completed = true;
    },
  });
  return Object.assign(state, {
    result: (n: number) =>
      eventually(`result ${n} of ${payload.query}`, () => {
        if (state.error !== undefined) throw new Error(`The subscription failed: ${JSON.stringify(state.error)}`);
        return state.results[n - 1];
      }),
    failure: () => eventually(`the end of ${payload.query} by an error`, () => state.error),
    unsubscribe,
  });
}
