import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { type Command, hasSetpriv } from './die-with-parent.ts';

/** The operating system's user that PostgreSQL's programs run as. */
export interface PostgresUser {
  readonly uid: number;
  readonly gid: number;
  /** setpriv's arguments that become this user; empty where we run as the right user already or setpriv is missing. */
  readonly setprivArgs: readonly string[];
}

const CAPABILITIES_THAT_OPEN_FOLDERS = ['dac_read_search', 'dac_override'];

/**
 * PostgreSQL refuses to run as root. So as root its programs run as the owner of the data directory or, before there is one, as
 * `nobody`. Where that user can't get at the checkout or the data directory (below /root, say, which is closed to others), the
 * programs keep root's right to pass through folders, and only that one. As any other user nothing changes: `undefined`.
 * @param dataDir the data directory, which may not exist yet; its parent must
 * @param programs files of PostgreSQL's that the user must be able to run
 * @throws when no way is found to let that user at the files
 */
export function postgresUser(dataDir: string, parentOfDataDir: string, programs: readonly string[]): PostgresUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = ownerOf(dataDir) ?? nobody();
  if (!hasSetpriv()) return { uid, gid, setprivArgs: [] };
  const asUser = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
  if (canReach(asUser, parentOfDataDir, programs)) return { uid, gid, setprivArgs: asUser };
  for (const capability of CAPABILITIES_THAT_OPEN_FOLDERS) {
    const only = `-all,+${capability}`;
    // Without no_setuid_fixup access(2), by which initdb looks for its programs, would ignore capabilities.
    const keep = ['--securebits', '+no_setuid_fixup', '--inh-caps', only, '--ambient-caps', only, '--bounding-set', only];
    const setprivArgs = [...asUser, ...keep];
    if (canReach(setprivArgs, parentOfDataDir, programs)) return { uid, gid, setprivArgs };
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and the unprivileged user with the id ${uid} can't reach ${parentOfDataDir} or ${programs[0]}. ` +
      'Open the folders above them to others (chmod o+x), or set DATA_DIR to a folder elsewhere, or start as another user than root.',
  );
}

/**
 * One of PostgreSQL's programs as the right user.
 * @param parentDeathSignal what the program gets when we die (SIGQUIT: stop at once, recover at the next start)
 */
export function asPostgresUser(user: PostgresUser | undefined, command: Command, parentDeathSignal: 'SIGQUIT' | 'SIGKILL'): Command {
  if (!hasSetpriv()) return user === undefined ? command : { ...command, uid: user.uid, gid: user.gid };
  const args = [...(user?.setprivArgs ?? []), '--pdeathsig', parentDeathSignal, '--', command.file, ...command.args];
  return { file: 'setpriv', args };
}

function ownerOf(dataDir: string): { uid: number; gid: number } | undefined {
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  return owner === undefined || owner.uid === 0 ? undefined : { uid: owner.uid, gid: owner.gid };
}

function nobody(): { uid: number; gid: number } {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'nobody');
  if (entry === undefined) {
    throw new Error('PostgreSQL refuses to run as root and /etc/passwd has no user "nobody" to run it as: add one, or start as another user than root.');
  }
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

function canReach(setprivArgs: readonly string[], folder: string, programs: readonly string[]): boolean {
  const script = 'test -x "$0" || exit 1; for program do test -r "$program" && test -x "$program" || exit 1; done';
  const probe = spawnSync('setpriv', [...setprivArgs, '--', 'sh', '-c', script, folder, ...programs], { cwd: '/', stdio: 'ignore' });
  return probe.status === 0;
}
