import { defineConfig } from '@graphql-hive/gateway';

/** Hive's gateway, with the caller's token passed on. */
export const gatewayConfig = defineConfig({
  propagateHeaders: { fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get('authorization') ?? '' }) },
});
