import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { UsageError } from './errors.ts';
import { findInstallation, WHERE_IT_CONNECTS, type Installation } from './installation.ts';
import { Output, tableLines } from './output.ts';

/** What the command line gave, options by their names. */
export interface Given {
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly words: readonly string[];
}

export interface CommandContext {
  /** Where to connect. @throws OperationError when nothing runs there */
  installation(): Installation;
  readonly out: Output;
  /** Aborts on Ctrl-C; a first one asks for it before the process is ended by it. */
  interrupted(): AbortSignal;
}

export interface Command {
  readonly name: string;
  /** How it is called, after the program. */
  readonly usage: string;
  /** One line. */
  readonly summary: string;
  /** What `--help` adds to that. */
  readonly details: string;
  readonly options: ParseArgsOptionsConfig;
  /** How many words may follow the name. */
  readonly words: { readonly min: number; readonly max: number };
  /** @returns the exit code: 1 when it ran but did not come to what was asked for */
  run(given: Given, context: CommandContext): Promise<0 | 1>;
}

/** A program of one or several commands. */
export interface Program {
  /** How people call it: `npm run events --`. */
  readonly call: string;
  /** Its `--help`. */
  readonly help: string;
  /** The command that the first words name, and the words after it. @throws UsageError */
  choose(args: readonly string[]): { readonly command: Command; readonly rest: readonly string[] };
}

/** A program of several commands, each chosen by its name. */
export function programOf({ call, purpose, commands }: { readonly call: string; readonly purpose: string; readonly commands: readonly Command[] }): Program {
  const [, ...summaries] = tableLines([{ title: '' }, { title: '' }], commands.map(({ name, summary }) => [name, summary]));
  return {
    call,
    help: `${purpose} Usage: ${call} <command>

${summaries.map((line) => `  ${line}`).join('\n')}

\`${call} <command> --help\` tells more of each. What to do when: docs/operations.md

${WHERE_IT_CONNECTS}

Exit codes: 0 done; 1 not done, the output says why; 2 the command line can't be understood.`,
    choose: ([name, ...rest]) => {
      const command = commands.find((known) => known.name === name);
      if (command === undefined) throw new UsageError(`There is no command "${name}". These are: ${commands.map((known) => known.name).join(', ')}. \`${call} --help\` tells what they do.`);
      return { command, rest };
    },
  };
}

/** Runs the program for this process: reads its arguments, prints its errors, sets its exit code. */
export async function runProgram(program: Program): Promise<void> {
  // Whoever reads the output may stop reading, as `head` does.
  process.stdout.on('error', () => process.exit(0));
  const out = new Output();
  try {
    process.exitCode = await runArguments(program, process.argv.slice(2), out);
  } catch (error) {
    out.endProgress();
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

async function runArguments(program: Program, args: readonly string[], out: Output): Promise<0 | 1> {
  if (args.length === 0) throw new UsageError(`What to do is missing.\n\n${program.help}`);
  if (args[0] === '--help' || args[0] === '-h' || args[0] === 'help') {
    out.line(program.help);
    return 0;
  }
  const { command, rest } = program.choose(args);
  const usage = `${program.call} ${command.usage}`;
  const given = readArguments(command, rest, usage);
  if (given.options['help'] === true) {
    out.line(`${command.summary}\n\nUsage: ${usage}\n\n${command.details}`);
    return 0;
  }
  const { min, max } = command.words;
  if (given.words.length < min) throw new UsageError(`Something is missing.\nUsage: ${usage}`);
  if (given.words.length > max) throw new UsageError(`"${given.words[max]}" is too much.\nUsage: ${usage}`);
  return command.run(given, { installation: () => findInstallation(process.env), out, interrupted });
}

function readArguments({ options, name }: Command, args: readonly string[], usage: string): Given {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean', short: 'h' } }, allowPositionals: true });
    return { options: values, words: positionals };
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('. ');
    throw new UsageError(`${name}: ${reason.replace(/\.$/, '')}.\nUsage: ${usage}`, { cause: error });
  }
}

function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

/** An option's text, if it was given. */
export function textOf({ options }: Given, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** An option that is a whole number from `min`. @throws UsageError */
export function wholeNumber(given: Given, name: string, min: number): number | undefined {
  const text = textOf(given, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text) || Number(text) < min) throw new UsageError(`--${name} must be a whole number from ${min}, not "${text}".`);
  return Number(text);
}
