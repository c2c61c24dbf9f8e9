import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigurationError } from '@ates/service-kit/env';
import { readConfig, type GatewayConfig, type SettingSource } from './config.ts';
import { helpText } from './help.ts';
import { FLAGS, flagOf, OPTION_GROUPS, optionOf, type Option } from './options.ts';

/** What the program is asked for. */
export type Command =
  | { readonly kind: 'serve'; readonly config: GatewayConfig }
  /** Something to read, and nothing else. */
  | { readonly kind: 'tell'; readonly text: string };

type ParsedArguments = ReturnType<typeof parseArgs<{ tokens: true; strict: false }>>;
type OptionToken = Extract<NonNullable<ParsedArguments['tokens']>[number], { kind: 'option' }>;

/**
 * Reads the command line, over the environment: each flag is written into the variable that it stands for.
 * @param args without the program's own
 * @throws ConfigurationError with every problem of both, one a line
 */
export function readCommand(args: readonly string[], environment: SettingSource): Command {
  const { tokens } = parseArgs({ args: [...args], options: parseOptions(), allowPositionals: true, strict: false, tokens: true });
  const given = tokens.filter((token) => token.kind === 'option');
  if (given.some(({ name }) => name === 'help')) return { kind: 'tell', text: helpText() };
  if (given.some(({ name }) => name === 'version')) return { kind: 'tell', text: versionText() };
  // What follows an option that is refused may be its value.
  const refusedAt = new Set(given.flatMap((token) => (problemOf(token) === null || token.inlineValue === true ? [] : [token.index + (token.value === undefined ? 1 : 2)])));
  const strays = tokens.filter((token) => token.kind === 'positional').filter(({ index }) => !refusedAt.has(index));
  const problems = strays.map(({ value }) => `"${value}" belongs to no option`);
  const settings: Record<string, string> = {};
  for (const token of given) {
    const problem = problemOf(token);
    if (problem === null) apply(optionOf(token.name) as Option, token, settings);
    else problems.push(problem);
  }
  return { kind: 'serve', config: readWith(problems, { ...environment, ...settings }) };
}

function parseOptions() {
  const all = OPTION_GROUPS.flatMap(({ options }) => options);
  const known = all.map(({ flag, switchOf }) => [flag, { type: switchOf === undefined ? 'string' : 'boolean' }] as const);
  return Object.fromEntries([...known, ['help', { type: 'boolean', short: 'h' }], ['version', { type: 'boolean' }]]) as NonNullable<Parameters<typeof parseArgs>[0]>['options'];
}

function problemOf({ name, rawName, value, inlineValue }: OptionToken): string | null {
  const option = optionOf(name);
  if (option === undefined) {
    const nearest = nearestFlag(name);
    return `${rawName} is no option${nearest === undefined ? '' : `, did you mean --${nearest}?`}`;
  }
  if (option.switchOf !== undefined) return value === undefined ? null : `${rawName} takes no value`;
  const isAnotherFlag = inlineValue === false && value.startsWith('--');
  return value === undefined || value === '' || isAnotherFlag ? `${rawName} needs a value: ${option.value}` : null;
}

function apply({ variable, switchOf, isList }: Option, { value = '' }: OptionToken, settings: Record<string, string>): void {
  const before = settings[variable];
  settings[variable] = switchOf ?? (isList === true && before !== undefined ? `${before},${value}` : value);
}

/** The configuration, with the problems that the command line had already. */
function readWith(problems: readonly string[], source: SettingSource): GatewayConfig {
  let config: GatewayConfig | undefined;
  const all = problems.map((problem) => `  ${problem}`);
  try {
    config = readConfig(source);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    all.push(...error.message.split('\n').slice(1).map(withFlag));
  }
  if (config !== undefined && all.length === 0) return config;
  throw new ConfigurationError(`The gateway cannot start, its options have ${all.length} problem(s):\n${all.join('\n')}\n--help tells all options.`);
}

/** A line about a variable, with the flag that sets it. */
function withFlag(line: string): string {
  return line.replace(/^ {2}([A-Z_]+):/, (whole, variable: string) => {
    const flag = flagOf(variable);
    return flag === undefined ? whole : `  --${flag} (${variable}):`;
  });
}

function versionText(): string {
  const { name, version } = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')) as { name: string; version: string };
  return `${name} ${version}\n`;
}

/** The flag that is fewest edits away, if those are few. */
function nearestFlag(name: string): string | undefined {
  const [nearest] = [...FLAGS, 'help', 'version']
    .map((flag) => ({ flag, distance: editsBetween(name, flag) }))
    .filter(({ flag, distance }) => distance < name.length && distance <= Math.max(2, flag.length * 0.4))
    .sort((a, b) => a.distance - b.distance);
  return nearest?.flag;
}

/** How many letters must be added, left out or changed to make one of the other (Levenshtein's distance). */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [index, letter] of one.split('').entries()) {
    const next = [index + 1];
    for (const [at, expected] of other.split('').entries()) {
      const changed = (row[at] ?? 0) + Number(letter !== expected);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
