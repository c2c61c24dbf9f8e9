import { readFileSync } from 'node:fs';
import mercuriusGateway from '@mercuriusjs/gateway';
import fastify from 'fastify';

/** Mercurius with its compiler on from the second time that an operation comes, and the caller's token passed on. */
const [servicesFile, port] = process.argv.slice(2);
const app = fastify();
await app.register(mercuriusGateway, {
  jit: 1,
  gateway: {
    services: JSON.parse(readFileSync(servicesFile, 'utf8')).map(({ name, url, schema }) => ({
      name,
      url,
      schema,
      rewriteHeaders: (headers) => ({ authorization: headers.authorization }),
    })),
  },
});
await app.listen({ host: '127.0.0.1', port: Number(port) });
