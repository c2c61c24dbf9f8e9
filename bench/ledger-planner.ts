import pg from 'pg';

/** What PostgreSQL tells of a statement that it has run. */
export interface Explained {
  /** Planning and execution. */
  readonly databaseMs: number;
  readonly plan: string;
}

/** A session that prepares each statement once, as the service's sessions do, so that PostgreSQL chooses among its plans as it does there. */
export class Planner {
  readonly #client: pg.Client;
  readonly #names = new Map<string, string>();

  static async open(url: string): Promise<Planner> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new Planner(client);
  }

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  async explain(text: string, params: readonly unknown[]): Promise<Explained> {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `asked_${this.#names.size}`;
      await this.#client.query(`prepare ${name} as ${text}`);
      this.#names.set(text, name);
    }
    const values = params.length === 0 ? '' : `(${params.map(literalOf).join(', ')})`;
    const { rows } = await this.#client.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off, costs off) execute ${name} ${values}`);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    const databaseMs = [...plan.matchAll(/^(?:Planning|Execution) Time: ([\d.]+) ms$/gm)].reduce((sum, [, ms]) => sum + Number(ms), 0);
    return { databaseMs, plan };
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

/** Of an unknown type, so that the statement says which it is. */
function literalOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return pg.escapeLiteral(Array.isArray(value) ? `{${value.map((item) => `"${textOf(item)}"`).join(',')}}` : textOf(value));
}

function textOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}
