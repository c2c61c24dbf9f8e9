/** The command line can't be understood; the process ends with 2. The message says what to do next. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was asked for can't be done; the process ends with 1. The message says what to do next. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
}
