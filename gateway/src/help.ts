import { OPTION_GROUPS, type Option } from './options.ts';

const FLAGS_WIDTH = 44;

/** Every option with its default and variable, for a terminal. */
export function helpText(): string {
  const groups = OPTION_GROUPS.map(({ title, options }) => `${title}:\n${options.map(lineOf).join('\n')}`);
  return `Serves the subgraphs of a federation supergraph as one GraphQL API.

  npm run gateway -- --supergraph FILE --port N [--no-auth] [options]
  node gateway/src/main.ts --supergraph FILE --port N [--no-auth] [options]

Each option may also be set by the variable of the environment beside it; the flag wins.
Of lists, the flag may be given several times, the variable holds all with commas between.

${groups.join('\n\n')}

Else:
  --help, -h
  --version
`;
}

/** The same as a table in Markdown, for the README. */
export function optionsTable(): string {
  const rows = OPTION_GROUPS.flatMap(({ title, options }) => [
    `| **${title}** | | | |`,
    ...options.map((option) => `| \`${usageOf(option).replaceAll('|', '\\|')}\` | ${option.switchOf === undefined ? `\`${option.variable}\`` : `\`${option.variable}=${option.switchOf}\``} | ${defaultOf(option)} | ${option.help} |`),
  ]);
  return ['| option | variable | default | |', '|-|-|-|-|', ...rows].join('\n');
}

function lineOf(option: Option): string {
  const { variable, switchOf, help } = option;
  const usage = `  ${usageOf(option)}`;
  const text = `${help}\n${' '.repeat(FLAGS_WIDTH)}(${switchOf === undefined ? variable : `${variable}=${switchOf}`}; default: ${defaultOf(option)})`;
  return `${usage.padEnd(FLAGS_WIDTH)}${text}`;
}

function usageOf({ flag, value, isList }: Option): string {
  return `--${flag}${value === '' ? '' : ` ${value}`}${isList === true ? ' …' : ''}`;
}

function defaultOf(option: Option): string {
  return option.defaultInWords ?? option.default ?? 'none';
}
