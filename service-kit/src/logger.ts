import { pino, type DestinationStream, type Logger } from 'pino';
import { currentTrace } from './trace-context.ts';

export type { Logger };

const REDACTED = ['password', 'accessToken', 'refreshToken', 'authorization', '*.password', 'headers.authorization'];

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
      redact: { paths: REDACTED, censor: '[redacted]' },
      mixin: () => {
        const trace = currentTrace();
        return trace === undefined ? {} : { traceId: trace.traceId };
      },
    },
    destination,
  );
}
