import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { Database, Sql } from '@ates/service-kit/database';
import type { Viewer } from '@ates/service-kit/viewer';
import { execute, parse, type DocumentNode, type GraphQLSchema } from 'graphql';
import { analyticsContext, type AnalyticsServices } from '../subgraphs/analytics/src/analytics-context.ts';
import { exportLinkKey } from '../subgraphs/analytics/src/export-links.ts';
import { analyticsResolvers } from '../subgraphs/analytics/src/resolvers.ts';
import type { FilledModel } from './analytics-database.ts';
import { Planner, type Explained } from './ledger-planner.ts';

const TYPE_DEFS = new URL('../subgraphs/analytics/schema.graphql', import.meta.url);
/** How a transaction of a read has settings of its own: `set local a = b`, or `select set_config('a', 'b', true), …`. */
const SETTING = /set local (\w+) = '?(\w+)'?|set_config\('(\w+)', '(\w+)', true\)/g;
const NOTHING_ELSE = /^[\s,;]*(?:select)?[\s,;]*$/;
const ADMIN = { userId: '00000000-0000-7000-8000-000000000001', roles: ['ADMIN'], assurance: 'full', expiresAt: new Date('2100-01-01'), rolesAreCurrent: true } as unknown as Viewer;
const documents = new Map<string, DocumentNode>();

/** What an operation was answered with. */
interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly Error[] | undefined;
}

/** The service's resolvers over a database, without HTTP. */
class Door {
  readonly #services: AnalyticsServices;
  readonly #schema: GraphQLSchema;

  constructor(database: Database) {
    const unwatched = (): never => {
      throw new Error('nobody watches here');
    };
    this.#services = { database, live: { watch: unwatched }, currentDay: () => Promise.resolve(new Date().toISOString().slice(0, 10)), clock: () => new Date(), linkKey: exportLinkKey('of no gateway') };
    this.#schema = buildSubgraphSchema({ typeDefs: parse(readFileSync(TYPE_DEFS, 'utf8')), resolvers: analyticsResolvers(this.#services) as never });
  }

  /** @throws when anything of it is refused */
  async ask(query: string, variableValues: Readonly<Record<string, unknown>>): Promise<unknown> {
    const document = documents.get(query) ?? parse(query);
    documents.set(query, document);
    const { data, errors } = (await execute({ schema: this.#schema, document, variableValues, contextValue: analyticsContext(this.#services, ADMIN) })) as Answer;
    if (errors?.[0] !== undefined) throw new Error(`${JSON.stringify(variableValues)}: ${errors[0].message}`, { cause: errors[0] });
    return data;
  }
}

/** Asks operations of a model in both ways: as fast as they are answered, and with what PostgreSQL tells of each statement. */
export class Asker {
  readonly #door: Door;
  readonly #explaining: Door;
  readonly #url: string;
  /** One for each way in which transactions are set; by that. */
  readonly #planners = new Map<string, Promise<Planner>>();
  #explained: Explained[] = [];
  #before: Promise<unknown> = Promise.resolve();

  constructor({ database, url }: FilledModel) {
    this.#url = url;
    this.#door = new Door(database);
    this.#explaining = new Door({ ...database, sql: this.#explainer(database.sql), sqlTransaction: (work) => database.sqlTransaction((sql) => work(this.#explainer(sql))) });
  }

  /** @returns ms until the answer was there, and the answer */
  async ask(query: string, variables: Readonly<Record<string, unknown>>): Promise<{ readonly ms: number; readonly answer: unknown }> {
    const startedAt = performance.now();
    const answer = await this.#door.ask(query, variables);
    return { ms: performance.now() - startedAt, answer };
  }

  /** Planning and execution of all that is asked for an answer, one after the other. */
  async lookInto(query: string, variables: Readonly<Record<string, unknown>>): Promise<Explained> {
    this.#explained = [];
    await this.#explaining.ask(query, variables);
    return { databaseMs: this.#explained.reduce((sum, { databaseMs }) => sum + databaseMs, 0), plan: this.#explained.map(({ plan }) => plan).join('\n') };
  }

  async close(): Promise<void> {
    for (const planner of this.#planners.values()) await (await planner).close();
  }

  #explainer(sql: Sql): Sql {
    const settings = new Map<string, string>();
    const explain = <Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> => {
      // The planner prepares one statement at a time.
      const answer = this.#before.then(async () => {
        const planner = await this.#plannerFor([...settings].map(([name, value]) => `-c ${name}=${value}`).join(' '));
        this.#explained.push(await planner.explain(text, params));
        return sql<Row>(text, params);
      });
      this.#before = answer.catch(() => undefined);
      return answer;
    };
    return Object.assign(explain, {
      later: (text: string): Promise<void> => {
        for (const [name, value] of settingsIn(text)) settings.set(name, value);
        return sql.later(text);
      },
    });
  }

  #plannerFor(settings: string): Promise<Planner> {
    const url = new URL(this.#url);
    if (settings !== '') url.searchParams.set('options', settings);
    const planner = this.#planners.get(settings) ?? Planner.open(url.href);
    this.#planners.set(settings, planner);
    return planner;
  }
}

/** @throws when it is more than settings: that would not be looked into */
function settingsIn(text: string): (readonly [name: string, value: string])[] {
  if (!NOTHING_ELSE.test(text.replaceAll(SETTING, ''))) throw new Error(`A read does what is not looked into: ${text}`);
  return [...text.matchAll(SETTING)].map(([, name, value, otherName, otherValue]) => [name ?? otherName ?? '', value ?? otherValue ?? '']);
}
