import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type HeldDataDir, holdDataDir } from './data-dir.ts';
import { provideDemoData } from './demo-data.ts';
import { checkpoint } from './embedded-postgres.ts';
import { chooseFreePorts, listenError } from './free-ports.ts';
import { endLeftoverParts } from './leftover-parts.ts';
import { provisionDatabases } from './provision-databases.ts';
import { addressToCall, readStackConfig, type StackConfig } from './stack-config.ts';
import { StackConsole } from './stack-console.ts';
import { type PortOf, stackParts } from './stack-parts.ts';
import { provideSecrets, type StackSecrets, SUBGRAPHS } from './stack-secrets.ts';
import { Supervisor } from './supervisor.ts';
import { welcomeText } from './welcome.ts';

const EXIT_FAILED = 1;
const EXIT_KILLED = 130;
/** npm passes a signal on to what the terminal has signalled already: two within this time are one Ctrl-C. */
const SAME_CTRL_C_MS = 700;
const MAX_PORT_ATTEMPTS = 10;
const PORT_PAUSE_MS = 100;

const stackConsole = new StackConsole();
await run().catch((error: unknown) => {
  stackConsole.print(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exit(EXIT_FAILED);
});

async function run(): Promise<void> {
  const wanted = readStackConfig(process.env, resolve(import.meta.dirname, '..'));
  const held = holdDataDir(wanted.dataDir);
  endLeftoverParts(wanted.dataDir);
  const config = await withFreePort(wanted);
  const supervisor = new Supervisor(config.dataDir, stackConsole);
  const stopping = stopOnSignals(supervisor, held);
  try {
    await bringUp(config, supervisor, stopping);
  } catch (error) {
    if (stopping.begun) return;
    stopping.begun = true;
    stackConsole.print('\nThe start failed, stopping what runs.');
    await supervisor.stop();
    throw error;
  }
}

/** The gateway's port, checked before anything is started. */
async function withFreePort(config: StackConfig): Promise<StackConfig> {
  if (config.port === 0) {
    const [port = 0] = await chooseFreePorts(1);
    return { ...config, port };
  }
  let error = await listenError(config.port, config.host);
  // The gateway of a stack that was killed a moment ago may still be on its way out.
  for (let attempt = 1; error?.code === 'EADDRINUSE' && attempt < MAX_PORT_ATTEMPTS; attempt++) {
    await delay(PORT_PAUSE_MS);
    error = await listenError(config.port, config.host);
  }
  if (error === undefined) return config;
  if (error.code === 'EADDRINUSE') {
    throw new Error(`Port ${config.port} is in use on ${config.host}. Stop what listens there, or choose another: PORT=4001 npm start (a second stack needs its own DATA_DIR as well).`);
  }
  throw new Error(`The gateway can't listen on ${config.host} port ${config.port} (${error.message}). Choose others by HOST and PORT.`);
}

async function bringUp(config: StackConfig, supervisor: Supervisor, stopping: Stopping): Promise<void> {
  const isFirstStart = !existsSync(join(config.dataDir, 'postgres'));
  stackConsole.print(`aTES starts${isFirstStart ? ' for the first time' : ''}; data and logs in ${shortPath(config)}`);
  const secrets = provideSecrets(config.dataDir);
  const ports = await choosePorts(config);
  const { postgres, nats, services, superuserUrl } = stackParts({ config, secrets, ports, environment: process.env });
  if (isFirstStart) stackConsole.progress('postgres: making the data directory');
  await Promise.all([supervisor.start([postgres]).then(() => provision(superuserUrl, secrets)), supervisor.start([nats])]);
  // New databases are many new files: written while the services start, they don't delay the first stop.
  if (isFirstStart) void checkpoint(superuserUrl);
  stackConsole.progress(`starting ${services.map(({ name }) => name).join(', ')}`);
  await supervisor.start(services);
  const address = `http://${addressToCall(config.host)}:${ports.gateway}`;
  await addDemoData(config.dataDir, `${address}/graphql`);
  if (stopping.begun) return;
  stackConsole.print(`\naTES is ready after ${stackConsole.elapsed()}: http://localhost:${ports.gateway}/graphql`);
  stackConsole.print(welcomeText(`http://localhost:${ports.gateway}`, shortPath(config)));
}

async function provision(superuserUrl: string, secrets: StackSecrets): Promise<void> {
  const services = SUBGRAPHS.map((name) => {
    const { databaseOwnerPassword, databasePassword } = secrets.subgraphs[name];
    return { name, ownerPassword: databaseOwnerPassword, appPassword: databasePassword };
  });
  await provisionDatabases({ superuserUrl, services });
  stackConsole.progress(`databases and roles are there: ${SUBGRAPHS.join(', ')}`);
}

async function choosePorts(config: StackConfig): Promise<PortOf> {
  const names = ['postgres', 'nats', ...SUBGRAPHS] as const;
  const chosen = await chooseFreePorts(names.length, [config.port]);
  return { ...(Object.fromEntries(names.map((name, index) => [name, chosen[index]])) as Omit<PortOf, 'gateway'>), gateway: config.port };
}

// Without the demo's users the stack is still of use, and the next start tries again.
async function addDemoData(dataDir: string, graphqlUrl: string): Promise<void> {
  try {
    if (await provideDemoData(dataDir, graphqlUrl)) stackConsole.progress('demo data: the users are there');
  } catch (error) {
    stackConsole.progress(`demo data: could not be made, the next start tries again (${error instanceof Error ? error.message : String(error)})`);
  }
}

interface Stopping {
  begun: boolean;
}

function stopOnSignals(supervisor: Supervisor, held: HeldDataDir): Stopping {
  const stopping: Stopping = { begun: false };
  let firstSignalAt = 0;
  const onSignal = (): void => {
    if (stopping.begun) {
      if (performance.now() - firstSignalAt > SAME_CTRL_C_MS) void supervisor.killAll().finally(() => process.exit(EXIT_KILLED));
      return;
    }
    stopping.begun = true;
    firstSignalAt = performance.now();
    stackConsole.print('\nstopping … (Ctrl-C again kills at once)');
    void supervisor.stop().finally(() => {
      held.release();
      stackConsole.print(`stopped in ${((performance.now() - firstSignalAt) / 1000).toFixed(1)} s`);
      process.exit(0);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return stopping;
}

function shortPath(config: StackConfig): string {
  const path = relative(process.cwd(), config.dataDir);
  return path.startsWith('..') ? config.dataDir : path;
}
