import { setTimeout as delay } from 'node:timers/promises';
import { streamOf } from '@ates/shared-events/streams';
import type { Producer } from '@ates/shared-events/event';
import type { ServiceDatabase } from './connections.ts';
import { OperationError } from './errors.ts';
import { counted, type Output } from './output.ts';
import { handleText, noteDecision, parkedEvent, parkedFrom, settledText, waitsItself, type ParkedEvent } from './parked-letters.ts';
import { replicasReading } from './pipe-state.ts';

/** What an operator wants done about parked events. */
export interface Decision {
  readonly command: 'REPLAY' | 'DISCARD';
  readonly why: string | null;
  /** How long to wait for the service to carry it out. */
  readonly waitMs: number;
}

const POLL_MS = 100;
export const WAIT_SECONDS = 15;

/**
 * Notes the decision about each event, then waits until the running service has carried it out, and tells what happened.
 * @returns whether everything came to what was decided
 */
export async function carryOut(database: ServiceDatabase, events: readonly ParkedEvent[], decision: Decision, out: Output): Promise<boolean> {
  for (const event of events) if (event.outcome !== null) throw new OperationError(settledText(event));
  for (const event of events) await noteDecision(database, event, decision.command, decision.why);
  const deadline = Date.now() + decision.waitMs;
  let settled = 0;
  let asDecided = 0;
  for (const event of events) {
    const now = await whenCarriedOut(database, event, deadline, () => out.progress(`waiting for ${database.service}: ${settled} of ${events.length} carried out`));
    if (now === undefined) {
      out.line(`${events.slice(settled).map(handleText).join(', ')}: not carried out within ${decision.waitMs / 1_000} s. ${await whyNotYet(database, event)}`);
      return false;
    }
    settled += 1;
    const { text, isDone } = await whatHappened(database, event, now);
    if (isDone) asDecided += 1;
    out.line(`${handleText(event)}: ${text}`);
  }
  return asDecided === events.length;
}

/** The event as the service left it; undefined when it did not come to it in time. */
async function whenCarriedOut(database: ServiceDatabase, { id }: ParkedEvent, deadline: number, onWait: () => void): Promise<ParkedEvent | undefined> {
  for (;;) {
    const now = await parkedEvent(database, id);
    if (now.outcome !== null || now.command === null) return now;
    if (Date.now() >= deadline) return undefined;
    onWait();
    await delay(POLL_MS);
  }
}

async function whyNotYet(database: ServiceDatabase, { source }: ParkedEvent): Promise<string> {
  const replicas = await replicasReading(database, streamOf(source.slice(1) as Producer));
  const stays = 'What you decided stays and is carried out';
  if (replicas === 0) return `${database.service} isn't running (nobody reads ${source.slice(1)}' events for it). ${stays} as soon as it runs.`;
  return `${database.service} runs but did not come to it; its /readyz says whether something is wrong. ${stays} when it can be.`;
}

async function whatHappened(database: ServiceDatabase, before: ParkedEvent, now: ParkedEvent): Promise<{ readonly text: string; readonly isDone: boolean }> {
  if (now.outcome === null) return { text: `not applied, parked again: ${now.reason}`, isDone: false };
  const done = now.outcome === 'REPLAYED' ? 'applied' : 'discarded';
  if (await waitsItself(database, now)) return { text: 'put back, but not applied yet: an earlier event of its aggregate is missing or parked.', isDone: false };
  const others = await parkedFrom(database, now);
  // A message that could not be read has no event's id; as an event it is parked by its own.
  const itself = others.find(({ version }) => version === now.version);
  if (itself !== undefined) return { text: `it can be read now but not applied, and is parked as ${handleText(itself)}: ${itself.reason}`, isDone: false };
  const [next] = others;
  const stuck = next === undefined ? [] : [`${handleText(next)} (version ${next.version}) was parked: ${next.reason}`];
  const applied = Math.max(before.waiting - now.waiting - stuck.length, 0);
  const behind = applied > 0 ? [`${counted(applied, 'later event')} that waited behind it ${applied === 1 ? 'was' : 'were'} applied`] : [];
  return { text: [done, ...behind, ...stuck].join('; '), isDone: true };
}
