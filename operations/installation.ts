import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { SUBSCRIPTIONS, type Subscription } from '../contracts/subscriptions.ts';
import { natsUrl } from '../scripts/embedded-nats.ts';
import { superuserUrl } from '../scripts/embedded-postgres.ts';
import { commandLine, type RunningPart } from '../scripts/leftover-parts.ts';
import { OPERATOR } from '../scripts/nats-access.ts';
import { urlOfDatabase } from '../scripts/provision-databases.ts';
import { readStackConfig } from '../scripts/stack-config.ts';
import { type StackSecrets, type SubgraphName, SUBGRAPHS } from '../scripts/stack-secrets.ts';
import { OperationError } from './errors.ts';

/** A running system, and how to get at its parts. */
export interface Installation {
  /** For messages. */
  readonly name: string;
  /** As the application's role; undefined when nobody said where it is. */
  databaseUrl(service: SubgraphName): string | undefined;
  /** As a user who may do everything; undefined when nobody said where it is. */
  readonly natsUrl: string | undefined;
}

/** The services that take events, and so may have parked some. */
export const CONSUMING_SERVICES: readonly SubgraphName[] = SUBGRAPHS.filter((name) => subscriptionsOf(name).length > 0);

/** Whose events a service takes. */
export function subscriptionsOf(service: SubgraphName): readonly Subscription[] {
  return SUBSCRIPTIONS.filter((subscription) => subscription.service === service);
}

export function databaseVariable(service: SubgraphName): string {
  return `${service.toUpperCase()}_DATABASE_URL`;
}

const VARIABLES = [...SUBGRAPHS.map(databaseVariable), 'NATS_URL'];
const PROJECT_DIR = resolve(import.meta.dirname, '..');
const WHAT_ELSE = `or say where another installation is by ${VARIABLES.join(', ')}.`;

/** For the help of the commands. */
export const WHERE_IT_CONNECTS = `Connects to the stack that \`npm start\` runs on DATA_DIR (default .data). For another installation set
${VARIABLES.slice(0, -1).join(', ')}
(each the URL of the service's application role) and NATS_URL (of a user who may do everything).
If any of these is set, only what they name is looked at.`;

/**
 * The installation that the environment names, else the stack that runs on DATA_DIR.
 * @throws OperationError when there is none, with what to do
 */
export function findInstallation(environment: NodeJS.ProcessEnv): Installation {
  if (VARIABLES.some((name) => environment[name])) {
    return {
      name: 'the installation that the environment names',
      databaseUrl: (service) => environment[databaseVariable(service)] || undefined,
      natsUrl: environment['NATS_URL'] || undefined,
    };
  }
  return stackOn(readStackConfig(environment, PROJECT_DIR).dataDir);
}

function stackOn(dataDir: string): Installation {
  const folder = relative(process.cwd(), dataDir).startsWith('..') ? dataDir : relative(process.cwd(), dataDir);
  const parts = runningParts(dataDir, folder);
  const { postgres, nats } = parts;
  if (postgres === undefined || nats === undefined) throw new OperationError(`The stack on ${folder} is still starting: try again when it is ready.`);
  const secrets = readSecrets(dataDir);
  const server = superuserUrl(postgres.port, '');
  return {
    name: `the stack on ${folder}`,
    databaseUrl: (service) => urlOfDatabase(server, service, { name: service, password: secrets.subgraphs[service].databasePassword }),
    natsUrl: natsUrl({ port: nats.port, user: OPERATOR, password: secrets.natsPassword }),
  };
}

/** What the supervisor keeps there while it runs. One that was killed leaves it behind: its process tells. */
function runningParts(dataDir: string, folder: string): Readonly<Record<string, RunningPart>> {
  const file = join(dataDir, 'running.json');
  if (!existsSync(file)) throw new OperationError(`No stack runs on ${folder}. Start one by \`npm start\`, set DATA_DIR to the folder of one that runs, ${WHAT_ELSE}`);
  const { pid, parts } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; parts: Record<string, RunningPart> };
  if (commandLine(pid).includes('start.ts')) return parts;
  throw new OperationError(`The stack on ${folder} does not run any more: its process ${pid} was killed. Start it again by \`npm start\`, ${WHAT_ELSE}`);
}

function readSecrets(dataDir: string): StackSecrets {
  const file = join(dataDir, 'secrets.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as StackSecrets;
  } catch (error) {
    throw new OperationError(`The stack's passwords can't be read (${(error as Error).message}). Run this as the user who started the stack.`, { cause: error });
  }
}
