import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Others may pass through: as root, PostgreSQL runs as another user and its folder lies inside. Secrets have modes of their own. */
const DATA_DIR_MODE = 0o711;
const SQLITE_BUSY = 5;

/** The folder that holds all state of a stack, held by this process alone. */
export interface HeldDataDir {
  /** Lets another stack have it; the end of the process does so too, however it comes. */
  release(): void;
}

/**
 * Makes the folder if need be and takes it for this process. The lock is the kernel's (on a file, through SQLite), so
 * a killed process leaves none behind and two processes can't both get it.
 * @throws when another stack runs on it, or when it can't be written to
 */
export function holdDataDir(dataDir: string): HeldDataDir {
  const ownerFile = join(dataDir, 'lock-holder');
  try {
    if (!existsSync(dataDir)) {
      mkdirSync(dataDir, { recursive: true });
      chmodSync(dataDir, DATA_DIR_MODE);
    }
    const lock = new DatabaseSync(join(dataDir, 'lock'), { timeout: 0 });
    lock.exec('pragma journal_mode = memory; begin exclusive');
    writeFileSync(ownerFile, `${process.pid}\n`);
    return { release: () => lock.close() };
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      const holder = existsSync(ownerFile) ? ` (process ${readFileSync(ownerFile, 'utf8').trim()})` : '';
      throw new Error(`Another stack is running on ${dataDir}${holder}. Stop that one, or run this one beside it: PORT=4001 DATA_DIR=.data-2 npm start`, { cause: error });
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`DATA_DIR ${dataDir} can't be used (${reason}). Give it to yourself (chown), or set DATA_DIR to a folder that you can write to.`, { cause: error });
  }
}
