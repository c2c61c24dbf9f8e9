/** One place of the source, and what it is replaced by. */
export interface Edit {
  readonly file: string;
  /** Exact text that the file holds once. */
  readonly find: string;
  readonly replace: string;
}

/** A guard of the code, how to take it away, and the test that must notice. */
export interface Guard {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** The test file that must go red. */
  readonly test: string;
  /** A part of the names of the tests to run there: the others need not wait for their timeouts. */
  readonly named: string;
}

/** A source no longer holds the text that a guard is known by, or holds it more than once. */
export class GuardMovedError extends Error {
  override readonly name = 'GuardMovedError';
}

/** The text without the guard. @throws GuardMovedError */
export function withEdit(text: string, { file, find, replace }: Edit): string {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new GuardMovedError(`The guard has moved: ${file} holds this ${places} times, not once: ${find}`);
  return text.replace(find, () => replace);
}
