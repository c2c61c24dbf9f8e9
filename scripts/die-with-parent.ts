import { spawnSync } from 'node:child_process';

/** A program with its arguments, as `spawn` takes them; `uid` and `gid` where it must run as another user. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

let setprivIsThere: boolean | undefined;

/** Whether this machine has util-linux' setpriv with parent-death signals (any Linux but the smallest; macOS has none). */
export function hasSetpriv(): boolean {
  setprivIsThere ??=
    process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'SIGKILL', 'true'], { stdio: 'ignore' }).status === 0;
  return setprivIsThere;
}

/**
 * The same command, made to get `signal` from the kernel when the process that starts it ends in whatever way, kill -9 included.
 * setpriv replaces itself with the program, so process id, signals and exit code stay the program's own.
 * Where the machine has no setpriv the command comes back unchanged.
 */
export function dieWithParent(command: Command, signal: 'SIGKILL' | 'SIGQUIT' | 'SIGTERM' = 'SIGKILL'): Command {
  if (!hasSetpriv()) return command;
  return { ...command, file: 'setpriv', args: ['--pdeathsig', signal, '--', command.file, ...command.args] };
}
