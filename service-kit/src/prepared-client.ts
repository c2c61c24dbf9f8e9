import { createHash } from 'node:crypto';
import { Client, type QueryConfig } from 'pg';
import { inStatementSpan } from './tracing-sql.ts';
import { tracingIsOn } from './tracing.ts';

/**
 * How many different statements a process prepares; later ones run unprepared. Lists written out as `in ($1, $2, …)`
 * could otherwise fill the server's memory with plans.
 */
const PREPARED_MAX_STATEMENTS = 300;

const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= PREPARED_MAX_STATEMENTS) return known;
  const name = createHash('sha256').update(text).digest('base64url').slice(0, 32);
  names.set(text, name);
  return name;
}

/**
 * A connection that prepares every statement with parameters under a name, once: planning a statement of several parts
 * costs more than running it. A pooler between here and the server must support prepared statements.
 */
export class PreparingClient extends Client {
  override query = ((...parameters: unknown[]) =>
    // Who passes a callback gets no promise to end a span by; nobody here does while spans are made.
    tracingIsOn() && typeof parameters.at(-1) !== 'function' ? inStatementSpan(parameters[0], () => this.#prepare(...parameters)) : this.#prepare(...parameters)) as Client['query'];

  #prepare(...parameters: unknown[]): unknown {
    const [text, values, callback] = parameters;
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) return this.#run(...parameters);
    const name = nameOf(text);
    const config: QueryConfig = { text, values, ...(name !== undefined && { name }) };
    return typeof callback === 'function' ? this.#run(config, callback) : this.#run(config);
  }

  #run(...parameters: unknown[]): unknown {
    return (Client.prototype.query as (...passed: unknown[]) => unknown).apply(this, parameters);
  }
}
