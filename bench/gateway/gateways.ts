import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_FOLDER } from './peers.ts';
import { composeShop, federation2Sdl, SHOP } from './shop-schema.ts';
import type { BenchTokens } from './tokens.ts';

export const GATEWAYS = ['stock', 'hive', 'hive-router', 'mercurius', 'grafbase', 'ours', 'ours-open', 'reference'] as const;
export type GatewayName = (typeof GATEWAYS)[number];

/** Measured when nothing else is said. */
export const USUAL_GATEWAYS: readonly GatewayName[] = ['stock', 'hive-router', 'mercurius', 'grafbase', 'ours', 'reference'];

/** What the gateways are started with. */
export interface Settings {
  /** For their files. */
  readonly folder: string;
  /** Of the subgraphs, by name. */
  readonly urls: Readonly<Record<string, string>>;
  readonly tokens: BenchTokens;
}

/** Files that a gateway is started with, by what they are. */
export interface SettingsFiles {
  readonly supergraph: string;
  readonly services: string;
  readonly grafbase: string;
  readonly grafbaseOverrides: string;
  /** What the reference does; written later. */
  readonly recipes: string;
}

export function writeSettings({ folder, urls }: Settings): SettingsFiles {
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const overrides = SHOP.map((subgraph) => {
    const schema = write(`${subgraph.name}.graphql`, federation2Sdl(subgraph));
    return `[subgraphs.${subgraph.name}]\nurl = "${urls[subgraph.name]}"\nschema_path = "${schema}"\n`;
  });
  return {
    supergraph: write('supergraph.graphql', composeShop(urls)),
    services: write('services.json', JSON.stringify(SHOP.map(({ name, sdl }) => ({ name, url: urls[name], schema: sdl })))),
    grafbase: write('grafbase.toml', '[graph]\nintrospection = false\n\n[[headers]]\nrule = "forward"\nname = "authorization"\n'),
    grafbaseOverrides: write('grafbase-overrides.toml', overrides.join('\n')),
    recipes: join(folder, 'recipes.json'),
  };
}

export function isPeer(name: GatewayName): boolean {
  return name !== 'reference' && !name.startsWith('ours');
}

/** How a gateway is started at a port. @throws Error when it has no program for this machine */
export function commandOf(name: GatewayName, port: number, settings: Settings, files: SettingsFiles): string[] {
  const node = process.execPath;
  const hive = [node, join(PEERS_FOLDER, 'node_modules/.bin/hive-gateway'), 'supergraph', files.supergraph];
  const hiveOptions = ['--config-path', join(PEERS_FOLDER, 'hive.config.mjs'), '--host', '127.0.0.1', '--port', `${port}`, '--fork', '1'];
  const commands: Readonly<Record<GatewayName, () => string[]>> = {
    stock: () => [node, join(PEERS_FOLDER, 'stock.mjs'), files.supergraph, `${port}`],
    hive: () => [...hive, ...hiveOptions],
    'hive-router': () => [...hive, '--hive-router-runtime', ...hiveOptions],
    mercurius: () => [node, join(PEERS_FOLDER, 'mercurius.mjs'), files.services, `${port}`],
    grafbase: () => grafbase(port, settings.folder, files),
    ours: () => [...ours(port, files), ...withEverything(settings.tokens)],
    'ours-open': () => [...ours(port, files), '--no-auth'],
    reference: () => [node, join(import.meta.dirname, 'reference.ts'), files.recipes, `${port}`],
  };
  return commands[name]();
}

function grafbase(port: number, folder: string, files: SettingsFiles): string[] {
  // The program itself, without the package that would choose it: that one names programs which not every registry has.
  const program = join(PEERS_FOLDER, 'node_modules/@grafbase/cli-x86_64-unknown-linux-musl/grafbase');
  if (!existsSync(program)) throw new Error(`the lock file holds no Grafbase for ${process.platform} on ${process.arch}`);
  const home = join(folder, 'grafbase');
  mkdirSync(home, { recursive: true });
  return [program, '--home', home, 'dev', '--port', `${port}`, '--gateway-config', files.grafbase, '--graph-overrides', files.grafbaseOverrides];
}

function ours(port: number, { supergraph }: SettingsFiles): string[] {
  // As `npm run gateway` starts it.
  return [process.execPath, '--max-semi-space-size=16', join(import.meta.dirname, '../../gateway/src/main.ts'), '--supergraph', supergraph, '--port', `${port}`];
}

/** Tokens verified, subgraphs told a secret, rates limited, if so high that nobody is refused; the other limits, metrics and logs are on unless switched off. */
function withEverything({ jwksUrl, issuer, audience }: BenchTokens): string[] {
  const secrets = SHOP.flatMap(({ name }) => ['--subgraph-secret', `${name}=secret-of-${name}-for-the-bench`]);
  const tokens = ['--jwks-url', jwksUrl, '--token-issuer', issuer, '--token-audience', audience];
  return [...secrets, ...tokens, '--rate-limit-user', '1000000/s', '--rate-limit-address', '1000000/s'];
}
