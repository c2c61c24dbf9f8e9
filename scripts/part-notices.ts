const SHOWN_LEVELS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ['warn', 'warning'],
  ['error', 'error'],
  ['fatal', 'fatal'],
]);

/** What is worth showing of a line of one of our own services (pino's JSON, with level names): warnings and worse. Lines that are no JSON (a crash of Node) are shown whole. */
export function serviceNotice(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  const entry = parsedLine(line);
  if (entry === undefined) return line;
  const { level, msg, err } = entry;
  const severity = SHOWN_LEVELS.get(level);
  if (severity === undefined) return undefined;
  const message = typeof msg === 'string' ? msg : '';
  const cause = errorMessage(err);
  const details = cause === undefined || message.includes(cause) ? '' : `: ${cause}`;
  return `${severity}: ${message}${details}`;
}

/** What is worth showing of a line of PostgreSQL: crashes and refusals to work, not the errors of single statements (their services tell those). */
export function postgresNotice(line: string): string | undefined {
  if (/terminating connection|starting up|shutting down|not yet accepting connections/.test(line)) return undefined;
  const match = /(?:PANIC|FATAL):.*|LOG: {2}(?:server process|database system was (?:interrupted|not properly)|could not).*/.exec(line);
  return match?.[0].replace(/^LOG: {2}/, '');
}

/** What is worth showing of a line of nats-server: warnings and worse, but not that its configuration (mode 0600) holds the password as it is. */
export function natsNotice(line: string): string | undefined {
  if (line.includes('Plaintext passwords detected')) return undefined;
  return /\[(?:WRN|ERR|FTL)\].*/.exec(line)?.[0];
}

function parsedLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function errorMessage(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
  return typeof error.message === 'string' ? error.message.split('\n', 1)[0] : undefined;
}
