import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Page } from '../http/http-server.ts';

/** A file of an installed package that GraphiQL consists of. */
interface PackageFile {
  readonly package: string;
  readonly file: string;
  readonly contentType: string;
}

const SCRIPT = 'text/javascript; charset=utf-8';

/** As the packages publish them, ready for browsers; in the order in which the page needs them. */
const FILES = {
  style: { package: 'graphiql', file: 'graphiql.min.css', contentType: 'text/css; charset=utf-8' },
  react: { package: 'react', file: 'umd/react.production.min.js', contentType: SCRIPT },
  reactDom: { package: 'react-dom', file: 'umd/react-dom.production.min.js', contentType: SCRIPT },
  graphqlWs: { package: 'graphql-ws', file: 'umd/graphql-ws.min.js', contentType: SCRIPT },
  graphiql: { package: 'graphiql', file: 'graphiql.min.js', contentType: SCRIPT },
} as const satisfies Record<string, PackageFile>;

export interface GraphiqlFiles {
  /** Addresses relative to the page; each names the version, so what is there never changes. */
  readonly addresses: Readonly<Record<keyof typeof FILES, string>>;
  /** The file at a path of this server; undefined when nothing of GraphiQL is there. */
  at(path: string): Page | undefined;
}

/** Finds the files under `/graphiql/`. Each is read when it is first asked for, and stays in memory. @throws Error when a package is not installed */
export function graphiqlFiles(): GraphiqlFiles {
  const require = createRequire(import.meta.url);
  const readers = new Map<string, () => Page>();
  const addressOf = ({ package: name, file, contentType }: PackageFile): string => {
    const manifest = require.resolve(`${name}/package.json`);
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    const address = `graphiql/${name}@${version}/${file}`;
    readers.set(`/${address}`, once(() => ({ contentType, headers: FILE_HEADERS, body: readFileSync(join(dirname(manifest), file), 'utf8') })));
    return address;
  };
  const addresses = Object.fromEntries(Object.entries(FILES).map(([name, file]) => [name, addressOf(file)])) as Record<keyof typeof FILES, string>;
  return { addresses, at: (path) => readers.get(path)?.() };
}

const FILE_HEADERS = { 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff' };

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
