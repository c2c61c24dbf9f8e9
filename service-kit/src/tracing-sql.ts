import { currentTrace, isSampled } from './trace-context.ts';
import { endSpan, failureOf, startSpan, type OpenSpan } from './tracing.ts';

const SUMMARIES_MAX = 1_000;
const summaries = new Map<string, string>();
/** What a statement writes to; the words that `for update` and `on conflict do update` have in common with it are not meant. */
const WRITTEN = /\b(insert into|delete from|merge into|(?<!\b(?:for|do|key) )update)\s+"?([\w.]+)/i;
const READ = /\bfrom\s+"?([\w.]+)/i;
const CALLED = /^\s*select\s+([\w.]+)\(/i;

/**
 * Sends a statement (its text, or a configuration with it) in a span of the request or reaction under way; outside of any without one.
 * The span has the text, which holds `$1` where values are, and never the values.
 */
export function inStatementSpan(statement: unknown, send: () => unknown): unknown {
  const trace = currentTrace();
  if (trace === undefined || !isSampled(trace.traceparent)) return send();
  const text = textOf(statement);
  if (text === undefined) return send();
  const summary = summaryOf(text);
  const open = startSpan('client', summary, { 'db.system.name': 'postgresql', 'db.query.text': text, 'db.query.summary': summary });
  if (open === undefined) return send();
  return endedWith(open, send() as Promise<unknown>);
}

async function endedWith(open: OpenSpan, answer: Promise<unknown>): Promise<unknown> {
  try {
    const result = await answer;
    endSpan(open);
    return result;
  } catch (error) {
    endSpan(open, failureOf(error));
    throw error;
  }
}

/** What a statement does to what, in a few words: `insert into outbox`, `select from tasks`. */
export function summaryOf(text: string): string {
  const known = summaries.get(text);
  if (known !== undefined) return known;
  const summary = (writtenBy(text) ?? readBy(text) ?? /\w+/.exec(text)?.[0] ?? 'statement').toLowerCase();
  if (summaries.size < SUMMARIES_MAX) summaries.set(text, summary);
  return summary;
}

function writtenBy(text: string): string | undefined {
  const written = WRITTEN.exec(text);
  return written === null ? undefined : `${written[1]} ${written[2]}`;
}

function readBy(text: string): string | undefined {
  const table = READ.exec(text)?.[1];
  if (table !== undefined) return `select from ${table}`;
  const called = CALLED.exec(text)?.[1];
  return called === undefined ? undefined : `select ${called}`;
}

function textOf(statement: unknown): string | undefined {
  if (typeof statement === 'string') return statement;
  const { text, submit } = (typeof statement === 'object' && statement !== null ? statement : {}) as { text?: unknown; submit?: unknown };
  // What submits itself (a cursor) is answered in parts.
  return typeof text === 'string' && submit === undefined ? text : undefined;
}
