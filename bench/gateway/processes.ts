import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Of a process and all that it has started, by Linux' /proc; zeros where there is none. */
export interface Usage {
  readonly cpuMs: number;
  /** The highest since it was last forgotten. */
  readonly peakBytes: number;
}

const TICK_MS = 10;
const KIBIBYTE = 1_024;
/** In /proc/<pid>/stat, counted from behind the name: parent, user time, system time. */
const [PARENT, USER_TIME, SYSTEM_TIME] = [1, 11, 12];

export function usageOf(root: number): Usage {
  const pids = familyOf(root);
  return {
    cpuMs: sum(pids.map((pid) => (field(pid, USER_TIME) + field(pid, SYSTEM_TIME)) * TICK_MS)),
    peakBytes: sum(pids.map((pid) => Number(/VmHWM:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * KIBIBYTE)),
  };
}

/** From now on peaks are counted anew. */
export function forgetPeaks(root: number): void {
  for (const pid of familyOf(root)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Then it is the peak of its life.
    }
  }
}

function familyOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readNames('/proc').filter((candidate) => /^\d+$/.test(candidate))) {
    const parent = field(Number(name), PARENT);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const family = [root];
  for (const pid of family) family.push(...(children.get(pid) ?? []));
  return family;
}

function field(pid: number, index: number): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[index] ?? 0);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
