import { cleanEnv, EnvMissingError, makeValidator, type CleanedEnv, type ValidatorSpec } from 'envalid';

export { bool, host, makeValidator, num, port, str, url } from 'envalid';

/** The configuration is unusable; the message lists every problem at once, one a line. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** A secret: at least 16 characters, never with a default. */
export const secret = makeValidator<string>((input) => {
  if (input.length < 16) throw new Error('a secret needs at least 16 characters');
  return input;
});

/** A whole number of at least `least`. */
export const wholeNumber = (least: number) =>
  makeValidator<number>((input) => {
    const number = Number(input);
    if (!Number.isInteger(number) || number < least) throw new Error(`must be a whole number, ${least} or more`);
    return number;
  });

/** Reads `name=value,name=value`. @throws Error naming the part that is something else. */
export function parseNamedValues(input: string): ReadonlyMap<string, string> {
  const entries = input
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const at = part.indexOf('=');
      if (at < 1) throw new Error(`"${part.trim()}" is not name=value`);
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const;
    });
  return new Map(entries);
}

/** `name=value,name=value` as a map, for settings that exist once per subgraph. */
export const namedValues = makeValidator<ReadonlyMap<string, string>>(parseNamedValues);

/** An IANA time zone that this Node knows, for example `Europe/Berlin`. */
export const timeZone = makeValidator<string>((input) => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: input });
  } catch {
    throw new Error(`"${input}" is no IANA time zone, write one like Europe/Berlin`);
  }
  return input;
});

/**
 * Reads the configuration once, typed. `specs` name each variable with its validator, default and meaning.
 * @throws ConfigurationError naming every variable that is missing or wrong.
 */
export function readEnv<Specs extends Record<string, ValidatorSpec<unknown>>>(
  specs: Specs,
  source: Readonly<Record<string, string | undefined>> = process.env,
): CleanedEnv<Specs> {
  // What is set to nothing is not set: so a compose file can pass on what may be there.
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  return cleanEnv(given, specs, {
    reporter: ({ errors }) => {
      const problems = Object.entries(errors).map(([name, error]) => `  ${name}: ${problemOf(error)}`);
      if (problems.length > 0) {
        throw new ConfigurationError(`The configuration has ${problems.length} problem(s):\n${problems.join('\n')}`);
      }
    },
  });
}

function problemOf(error: unknown): string {
  // The library's message for a missing variable is its description, or the word "undefined" when it has none.
  if (error instanceof EnvMissingError || !(error instanceof Error) || error.message === '') return 'is missing, set it';
  return error.message;
}
