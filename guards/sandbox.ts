import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { withEdit, type Edit } from './guard.ts';

const PROJECT = resolve(import.meta.dirname, '..');
const LEFT_OUT = new Set(['node_modules', '.git', '.cache', '.data', 'coverage']);
/** A run that has not ended by then is stopped; that is not taken for a red test. */
const PATIENCE_MS = 300_000;

/** What became of a run of tests. */
export interface TestRun {
  readonly passed: number;
  readonly failed: readonly string[];
  /** The first line of what the first of them says. */
  readonly reason: string;
  /** Why there are no results: it did not end, or did not begin. */
  readonly broken: string | null;
  readonly output: string;
}

interface JestResults {
  readonly numPassedTests: number;
  readonly testResults: readonly { readonly message: string; readonly assertionResults: readonly { readonly status: string; readonly title: string; readonly failureMessages: readonly string[] }[] }[];
}

/** A copy of the working tree in a temporary folder, in which sources may be spoilt. */
export class Sandbox {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ates-guards-'));

  constructor() {
    cpSync(PROJECT, this.#folder, { recursive: true, filter: (source) => !LEFT_OUT.has(source.split('/').at(-1) as string) });
    symlinkSync(join(PROJECT, '.cache'), join(this.#folder, '.cache'));
    this.#linkModules('node_modules');
    for (const workspace of ['shared-events', 'service-kit', 'gateway', 'rover', ...readdirSync(join(PROJECT, 'subgraphs')).map((name) => join('subgraphs', name))]) {
      if (statSync(join(PROJECT, workspace, 'node_modules'), { throwIfNoEntry: false })) symlinkSync(join(PROJECT, workspace, 'node_modules'), join(this.#folder, workspace, 'node_modules'));
    }
  }

  /** Each package by a link of its own: the workspaces among them must be the copies, not the originals. */
  #linkModules(modules: string): void {
    mkdirSync(join(this.#folder, modules, '@ates'), { recursive: true });
    for (const name of readdirSync(join(PROJECT, modules))) if (name !== '@ates') symlinkSync(join(PROJECT, modules, name), join(this.#folder, modules, name));
    for (const name of readdirSync(join(PROJECT, modules, '@ates'))) symlinkSync(readlinkSync(join(PROJECT, modules, '@ates', name)), join(this.#folder, modules, '@ates', name));
  }

  /** Runs with the edits applied, and takes them back. @throws GuardMovedError */
  async without<Result>(edits: readonly Edit[], work: () => Promise<Result>): Promise<Result> {
    const before = new Map<string, string>();
    try {
      for (const edit of edits) {
        const path = join(this.#folder, edit.file);
        const text = readFileSync(path, 'utf8');
        const edited = withEdit(text, edit);
        if (!before.has(path)) before.set(path, text);
        writeFileSync(path, edited);
      }
      return await work();
    } finally {
      for (const [path, text] of before) writeFileSync(path, text);
    }
  }

  /** Runs jest on test files. @param named only tests whose names hold one of these */
  async test(files: readonly string[], named: readonly string[]): Promise<TestRun> {
    const results = join(this.#folder, 'results.json');
    rmSync(results, { force: true });
    const jest = ['node_modules/jest/bin/jest.js', '--forceExit', '--json', `--outputFile=${results}`, `--cacheDirectory=${join(this.#folder, 'jest-cache')}`];
    const filter = ['-t', named.map((part) => part.replaceAll(/[()[\]{}.*+?^$|\\]/g, '\\$&')).join('|')];
    const { output, timedOut } = await run(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', ...jest, ...filter, '--runTestsByPath', ...files], this.#folder);
    if (timedOut) return { passed: 0, failed: [], reason: '', broken: `did not end within ${PATIENCE_MS / 1_000} s`, output };
    try {
      const { numPassedTests, testResults } = JSON.parse(readFileSync(results, 'utf8')) as JestResults;
      const red = testResults.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed'));
      const unread = testResults.filter(({ assertionResults, message }) => assertionResults.length === 0 && message !== '').length;
      const reason = red[0]?.failureMessages[0]?.split('\n')[0] ?? '';
      return { passed: numPassedTests, failed: red.map(({ title }) => title), reason, broken: unread > 0 ? 'a test file could not be run' : null, output };
    } catch {
      return { passed: 0, failed: [], reason: '', broken: 'gave no results', output };
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function run(file: string, args: readonly string[], folder: string): Promise<{ output: string; timedOut: boolean }> {
  const { promise, resolve: settle } = Promise.withResolvers<{ output: string; timedOut: boolean }>();
  const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  let timedOut = false;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => void output.push(text.toString()));
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGTERM');
  }, PATIENCE_MS);
  child.once('close', () => {
    clearTimeout(timer);
    settle({ output: output.join(''), timedOut });
  });
  return promise;
}
