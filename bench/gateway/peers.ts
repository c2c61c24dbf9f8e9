import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the other gateways are, with dependencies of their own. */
export const PEERS_FOLDER = join(import.meta.dirname, 'peers');

const MADE_FROM = join(PEERS_FOLDER, 'node_modules', '.made-from');
const ERROR_LENGTH_MAX = 2_000;

/**
 * Installs the other gateways, unless those of the lock file are there.
 * @returns why they can't be had, or null
 */
export async function installPeers(say: (text: string) => void): Promise<string | null> {
  const wanted = createHash('sha256').update(readFileSync(join(PEERS_FOLDER, 'package-lock.json'))).digest('hex');
  if (existsSync(MADE_FROM) && readFileSync(MADE_FROM, 'utf8') === wanted) return null;
  say('installing the other gateways (npm ci in bench/gateway/peers, 750 MB), this takes two minutes the first time …');
  const problem = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (problem === null) writeFileSync(MADE_FROM, wanted);
  return problem;
}

function run(program: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: PEERS_FOLDER, stdio: ['ignore', 'ignore', 'pipe'] });
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => {
      told = (told + chunk.toString()).slice(-ERROR_LENGTH_MAX);
    });
    child.once('error', (error) => resolve(`npm can't be run: ${error.message}`));
    child.once('close', (code) => resolve(code === 0 ? null : `npm ci has failed: ${told.trim()}`));
  });
}
