import { isIP } from 'node:net';
import { resolve } from 'node:path';

/** What `npm start` can be told by the environment. */
export interface StackConfig {
  /** The project's folder. */
  readonly projectDir: string;
  /** TCP port of the gateway; 0: a free one. */
  readonly port: number;
  /** Address that the gateway listens on. */
  readonly host: string;
  /** Absolute path of the folder that holds all state. */
  readonly dataDir: string;
  readonly logLevel: string;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/**
 * Reads PORT (default 4000), HOST (127.0.0.1), DATA_DIR (.data, relative to the project's folder) and LOG_LEVEL (info).
 * @throws naming every wrong value at once
 */
export function readStackConfig(environment: NodeJS.ProcessEnv, projectDir: string): StackConfig {
  const problems: string[] = [];
  const port = Number(valueOf(environment, 'PORT', '4000'));
  if (!Number.isInteger(port) || port < 0 || port > 65_535) problems.push('PORT must be a number from 0 to 65535 (0: a free one)');
  const host = valueOf(environment, 'HOST', '127.0.0.1');
  if (isIP(host) === 0 && host !== 'localhost') problems.push('HOST must be an IP address of this machine, such as 127.0.0.1 or 0.0.0.0');
  const logLevel = valueOf(environment, 'LOG_LEVEL', 'info');
  if (!LOG_LEVELS.includes(logLevel)) problems.push(`LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}`);
  if (problems.length > 0) throw new Error(`The environment can't be used:\n  ${problems.join('\n  ')}`);
  return { projectDir, port, host, dataDir: resolve(projectDir, valueOf(environment, 'DATA_DIR', '.data')), logLevel };
}

/** The address at which this machine itself reaches a server that listens on `host`. */
export function addressToCall(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIP(host) === 6 ? `[${host}]` : host;
}

function valueOf(environment: NodeJS.ProcessEnv, name: string, byDefault: string): string {
  const value = environment[name]?.trim();
  return value === undefined || value === '' ? byDefault : value;
}
