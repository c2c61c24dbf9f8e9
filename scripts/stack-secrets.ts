import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

export const SUBGRAPHS = ['users', 'tasks', 'accounting', 'analytics'] as const;
export type SubgraphName = (typeof SUBGRAPHS)[number];
/** Who connects to NATS, each as a user of its own. */
export const NATS_CLIENTS = [...SUBGRAPHS, 'gateway'] as const;
export type NatsClient = (typeof NATS_CLIENTS)[number];

/** Passwords and secrets of one stack, all generated: letters, digits, `-` and `_`. */
export interface StackSecrets {
  readonly postgresPassword: string;
  /** Of NATS' operator, who may do everything there. */
  readonly natsPassword: string;
  /** Of the gateway's own user of NATS. */
  readonly gatewayNatsPassword: string;
  readonly subgraphs: Readonly<Record<SubgraphName, SubgraphSecrets>>;
}

export interface SubgraphSecrets {
  readonly databaseOwnerPassword: string;
  readonly databasePassword: string;
  /** By which the subgraph knows the gateway. */
  readonly gatewaySecret: string;
  /** Of its own user of NATS. */
  readonly natsPassword: string;
}

const SECRET_BYTES = 24;

/**
 * The secrets of `DATA_DIR/secrets.json` (mode 0600), made on the first start. Those that an older version's file lacks are added.
 * @throws when the file is there but can't be read
 */
export function provideSecrets(dataDir: string): StackSecrets {
  const file = join(dataDir, 'secrets.json');
  const known = existsSync(file) ? readSecrets(file) : undefined;
  const ofSubgraph = (name: SubgraphName): SubgraphSecrets => ({ ...newSubgraphSecrets(), ...known?.subgraphs[name] });
  const secrets: StackSecrets = {
    postgresPassword: newSecret(),
    natsPassword: newSecret(),
    gatewayNatsPassword: newSecret(),
    ...known,
    subgraphs: { users: ofSubgraph('users'), tasks: ofSubgraph('tasks'), accounting: ofSubgraph('accounting'), analytics: ofSubgraph('analytics') },
  };
  if (isDeepStrictEqual(secrets, known)) return secrets;
  const unfinished = `${file}.unfinished`;
  writeFileSync(unfinished, `${JSON.stringify(secrets, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, file);
  return secrets;
}

function readSecrets(file: string): StackSecrets {
  try {
    const secrets = JSON.parse(readFileSync(file, 'utf8')) as StackSecrets;
    // New ones in their place would not open the data.
    if (!secrets.postgresPassword || !SUBGRAPHS.every((name) => secrets.subgraphs[name])) throw new Error('some secrets are missing');
    return secrets;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${file} can't be read (${reason}). Start as its owner, or restore it; without it the data can't be opened, and only deleting DATA_DIR begins anew.`, { cause: error });
  }
}

function newSubgraphSecrets(): SubgraphSecrets {
  return { databaseOwnerPassword: newSecret(), databasePassword: newSecret(), gatewaySecret: newSecret(), natsPassword: newSecret() };
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}
