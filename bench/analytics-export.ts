import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { dieWithParent } from '../scripts/die-with-parent.ts';
import type { DayRange } from '../subgraphs/analytics/src/day-range.ts';
import { exportLink, exportLinkKey } from '../subgraphs/analytics/src/export-links.ts';
import type { FilledModel } from './analytics-database.ts';
import type { DoorCommand } from './analytics-export-door.ts';
import { median, rounded, verdict } from './ledger-figures.ts';

export interface ExportOptions {
  readonly model: FilledModel;
  /** About so many, in whole days. */
  readonly rows: number;
  readonly rounds: number;
  readonly say: (text: string) => void;
}

interface Taken {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
  /** Of the process that writes it, in bytes: at its peak, and by how much that is more than before. */
  readonly peak: number;
  readonly grown: number;
}

const SECRET = 'the secret of a gateway that there is not';
const GOAL = { rows: 1_000_000, ms: 15_000, bytes: 200_000_000 } as const;
const LINE_FEED = 10;
const MB = 1e6;
const KB = 1_024;
const POLL_MS = 50;

/** Exports taken from the service's door, as fast as they come, each from a new process that does nothing else. @returns whether all rows came */
export async function measureExport({ model, rows, rounds, say }: ExportOptions): Promise<boolean> {
  const { range, count } = await rangeOf(model, rows);
  const taken: Taken[] = [];
  for (let round = 0; round < rounds; round += 1) {
    taken.push(await takeOnce(model, range));
    say(`exported ${taken.at(-1)?.rows} rows, from ${range.from} to ${range.to}`);
  }
  const goalMs = Math.min(1, count / GOAL.rows) * GOAL.ms;
  const [ms, grown] = [median(taken.map((one) => one.ms)), Math.max(...taken.map((one) => one.grown))];
  console.log(`\nCSV of ${count} rows by the service's door, in a process of its own; goal < ${rounded(goalMs / 1_000)} s (${GOAL.ms / 1_000} s for ${GOAL.rows}) and by < ${GOAL.bytes / MB} MB grown`);
  console.table([
    ...taken.map((one, place) => rowOf(`round ${place + 1}`, one)),
    { what: 'median, most memory', seconds: rounded(ms / 1_000), 'grown by MB': rounded(grown / MB), time: verdict(ms < goalMs), memory: verdict(grown < GOAL.bytes) },
  ]);
  const wrong = taken.filter((one) => one.rows !== count);
  for (const one of wrong) console.error(`${one.rows} rows came of ${count}`);
  return wrong.length === 0;
}

function rowOf(what: string, { rows, bytes, ms, peak, grown }: Taken): Record<string, string | number> {
  return { what, rows, MB: rounded(bytes / MB), seconds: rounded(ms / 1_000), 'rows/s': Math.round(rows / (ms / 1_000)), 'peak MB': rounded(peak / MB), 'grown by MB': rounded(grown / MB) };
}

/** The last days that have so many entries. */
async function rangeOf({ database }: FilledModel, rows: number): Promise<{ readonly range: DayRange; readonly count: number }> {
  const days = await database.sql<{ day: string; entries: number }>('select day::text, count(*)::int as entries from audit_entries group by audit_entries.day order by audit_entries.day desc');
  const [{ day: to } = { day: '' }] = days;
  let [from, count] = [to, 0];
  for (const { day, entries } of days) {
    if (count >= rows) break;
    [from, count] = [day, count + entries];
  }
  return { range: { from, to }, count };
}

async function takeOnce({ url: databaseUrl }: FilledModel, range: DayRange): Promise<Taken> {
  const { file, args } = dieWithParent({ file: process.execPath, args: [resolve(import.meta.dirname, 'analytics-export-door.ts')] });
  const child = spawn(file, args, { env: { PATH: process.env['PATH'], NODE_ENV: 'production' }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new AbortController();
  child.once('exit', () => ended.abort(new Error('the process of the exports has ended')));
  try {
    const opened = once(child, 'message', { signal: ended.signal });
    child.send({ databaseUrl, gatewaySecret: SECRET } satisfies DoorCommand);
    const [{ port }] = (await opened) as [{ port: number }];
    const { url } = exportLink(range, exportLinkKey(SECRET), new Date());
    const memory = watchMemory(child.pid ?? 0);
    const read = await readCsv(`http://127.0.0.1:${port}${url}`);
    return { ...read, ...memory() };
  } finally {
    // Its sessions end with it: before their server does.
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    if (child.connected) child.disconnect();
    await gone;
  }
}

async function readCsv(url: string): Promise<Pick<Taken, 'rows' | 'bytes' | 'ms'>> {
  const startedAt = performance.now();
  const response = await fetch(url, { headers: { 'x-gateway-secret': SECRET } });
  if (response.status !== 200 || response.body === null) throw new Error(`No export: ${response.status} ${await response.text()}`);
  // Less the head.
  let [rows, bytes] = [-1, 0];
  for await (const chunk of response.body) {
    bytes += chunk.length;
    for (let place = chunk.indexOf(LINE_FEED); place !== -1; place = chunk.indexOf(LINE_FEED, place + 1)) rows += 1;
  }
  return { rows, bytes, ms: performance.now() - startedAt };
}

/** The most memory that a process takes from here on, which the kernel keeps; where it can't begin anew it is looked at often. */
function watchMemory(pid: number): () => Pick<Taken, 'peak' | 'grown'> {
  const read = (field: 'VmRSS' | 'VmHWM'): number => KB * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  let isReset = true;
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    isReset = false;
  }
  const before = read('VmRSS');
  let seen = before;
  const timer = setInterval(() => (seen = Math.max(seen, read('VmRSS'))), POLL_MS).unref();
  return () => {
    clearInterval(timer);
    const peak = Math.max(seen, isReset ? read('VmHWM') : 0);
    return { peak, grown: peak - before };
  };
}
