import type { Logger } from './logger.ts';
import { watchConnection, type NatsConnection } from './nats.ts';
import type { RevocationList } from './revocation-list.ts';
import { createRevocationNumbering } from './revocation-numbering.ts';
import { parseRevocationMessage, REVOCATIONS_SINCE_SUBJECT, REVOCATIONS_SUBJECT, type RevocationMessage } from './revocation-message.ts';

/** Hears the revocations and knows whether it has heard them all. */
export interface RevocationFollower {
  follow(nats: NatsConnection): void;
  /** Whether there is no gap up to what was heard last. */
  isComplete(): boolean;
  /** Milliseconds since a message or an answer that continued what was known; infinite before the first. */
  ageMs(): number;
  onNews(listener: () => void): () => void;
  stop(): void;
}

export interface RevocationFollowerOptions {
  readonly list: RevocationList;
  readonly logger: Logger;
  readonly staleAfterMs: number;
  readonly now: () => number;
}

const ANSWER_TIMEOUT_MS = 2_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 2_000;

/** Applies to `list` whatever it hears, and asks for what it missed: at the start, after each lost connection, after silence, on a gap. */
export function createRevocationFollower({ list, logger, staleAfterMs, now }: RevocationFollowerOptions): RevocationFollower {
  const listeners = new Set<() => void>();
  const numbering = createRevocationNumbering(staleAfterMs, now);
  let questions: Questions | undefined;

  const apply = ({ entries, keys }: RevocationMessage): void => {
    if (list.apply(entries, keys)) for (const listener of listeners) listener();
  };
  const hear = (text: string): void => {
    const message = parseRevocationMessage(text);
    apply(message);
    const missingFrom = numbering.heard(message.after, message.last);
    if (missingFrom !== null) questions?.ask(missingFrom);
  };
  return {
    follow: (nats) => {
      questions = createQuestions(nats, { asked: numbering.asked, apply, answered: numbering.answered }, logger);
      nats.subscribe(REVOCATIONS_SUBJECT, {
        callback: (error, message) => {
          if (error !== null) return logger.warn({ err: error }, 'revocations are not heard');
          // A stream's message that somebody lets be delivered here keeps a subject of its own.
          if (message.subject !== REVOCATIONS_SUBJECT) return undefined;
          try {
            return hear(message.string());
          } catch (unreadable) {
            return logger.warn({ err: unreadable }, 'a message among the revocations could not be read');
          }
        },
      });
      watchConnection(nats, (isConnected) => {
        if (!isConnected) return;
        numbering.lost();
        questions?.ask(0);
      });
      questions.ask(0);
    },
    isComplete: numbering.isComplete,
    ageMs: numbering.ageMs,
    onNews: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop: () => {
      questions?.stop();
      listeners.clear();
    },
  };
}

interface QuestionHooks {
  /** A question is about to be asked, from there on. */
  asked(from: number): void;
  apply(answer: RevocationMessage): void;
  /** The answer to a question is complete, up to `last`. @returns false when it has to be asked again. */
  answered(from: number, last: number): boolean;
}

interface Questions {
  /** Asks for everything after this number, until it is answered; at once, also where a failure is being waited out. */
  ask(from: number): void;
  stop(): void;
}

/** Asks Users, one question at a time. */
function createQuestions(nats: NatsConnection, { asked, apply, answered }: QuestionHooks, logger: Logger): Questions {
  let wanted: number | null = null;
  let running = false;
  let stopped = false;
  let wake: () => void = () => {};

  /** One question, with as many requests as its answer has parts. @throws Error when Users does not answer */
  const question = async (from: number): Promise<boolean> => {
    asked(from);
    for (let after = from; ; ) {
      const reply = await nats.request(REVOCATIONS_SINCE_SUBJECT, JSON.stringify({ after }), { timeout: ANSWER_TIMEOUT_MS });
      const answer = parseRevocationMessage(reply.string());
      apply(answer);
      if (!answer.more) return answered(from, answer.last);
      if (answer.last <= after) throw new Error('there is more to ask for, and the answer did not get any further');
      after = answer.last;
    }
  };
  const run = async (): Promise<void> => {
    let waitMs = RETRY_MIN_MS;
    while (wanted !== null && !stopped) {
      const from: number = wanted;
      wanted = null;
      const failure = await question(from).then((done) => (done ? null : 'more was heard meanwhile'), (error: unknown) => error);
      if (failure === null) {
        waitMs = RETRY_MIN_MS;
        continue;
      }
      logger.debug({ err: failure, from, waitMs }, 'revocations could not be asked for, trying again');
      wanted = Math.min(wanted ?? from, from);
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, waitMs).unref();
      });
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
    }
  };
  return {
    ask: (from) => {
      wanted = Math.min(wanted ?? from, from);
      wake();
      if (running) return;
      running = true;
      void run().finally(() => {
        running = false;
      });
    },
    stop: () => {
      stopped = true;
      wake();
    },
  };
}
