import { pino, type DestinationStream, type Logger } from 'pino';
import { currentTrace } from './trace-context.ts';

export type { Logger };

const REDACTED = ['password', 'accessToken', 'refreshToken', 'authorization', '*.password', 'headers.authorization'];

/** What PostgreSQL adds to an error: rows, with e-mails and password hashes in them. */
const ROW_DETAIL = /\n - detail: [^\n]*|Failing row contains [^\n]*|Key \([^\n]*/g;

/** An error for the log: whole, but without the contents of rows. */
function withoutRows(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { detail: _rows, where: _where, ...shown } = pino.stdSerializers.err(error) as Record<string, unknown>;
  for (const text of ['message', 'stack'] as const) {
    if (typeof shown[text] === 'string') shown[text] = shown[text].replace(ROW_DETAIL, '');
  }
  return shown;
}

/**
 * A structured logger: one JSON line per event on stdout (or to `destination`), with the service's name, ISO time, and,
 * inside a request or a reaction, its trace id. Levels are pino's: fatal, error, warn, info, debug, trace, silent.
 */
export function createLogger(service: string, level = 'info', destination: DestinationStream = pino.destination(1)): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: withoutRows },
      redact: { paths: REDACTED, censor: '[redacted]' },
      mixin: () => {
        const trace = currentTrace();
        return trace === undefined ? {} : { traceId: trace.traceId };
      },
    },
    destination,
  );
}
