import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { OperationAnswer } from './prepared-operation.ts';

const UNWRITABLE = JSON.stringify({
  data: null,
  errors: [
    {
      message: 'A part of the system gave an answer that is nested too deeply to be passed on: ask for less, or report it',
      extensions: { code: 'INTERNAL' satisfies ErrorCode },
    },
  ],
});

let lastAnswer: OperationAnswer | undefined;
let lastText = '';

/**
 * An answer as JSON. The same object given again, as when an event goes to many, is not written again. It never throws: a scalar of a subgraph may
 * be nested as deeply as can be read, which is deeper than can be written.
 */
export function answerText(answer: OperationAnswer): string {
  if (answer === lastAnswer) return lastText;
  try {
    lastText = JSON.stringify(answer);
  } catch {
    lastText = UNWRITABLE;
  }
  lastAnswer = answer;
  return lastText;
}
