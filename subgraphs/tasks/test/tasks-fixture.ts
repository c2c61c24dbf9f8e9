import { jetstreamManager } from '@nats-io/jetstream';
import { newEvent } from '@ates/shared-events/event';
import { ensureStream } from '@ates/shared-events/streams';
import { userCreatedV1, type Role } from '@ates/shared-events/user-events';
import { createClient, type Client } from 'graphql-ws';
import { v7 as uuidv7 } from 'uuid';
import { WebSocket } from 'ws';
import { eventually, startTestService, type GraphQLAnswer, type TestService } from '../../../scripts/test-service.ts';

export const OCCURRENCE = { time: new Date(), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
export const FIELDS = 'id number ticket title description status version assignee { id name } creator { id name } createdAt completedAt fee reward';
export const CREATE = `mutation ($input: CreateTaskInput!) { createTask(input: $input) { ${FIELDS} } }`;
export const COMPLETE = `mutation ($id: ID!) { completeTask(id: $id) { ${FIELDS} } }`;
export const UPDATE = `mutation ($id: ID!, $input: UpdateTaskInput!) { updateTask(id: $id, input: $input) { ${FIELDS} } }`;
export const DELETE = `mutation ($id: ID!, $expectedVersion: Int) { deleteTask(id: $id, expectedVersion: $expectedVersion) { ${FIELDS} } }`;
export const ASSIGN = `mutation ($id: ID!, $assigneeId: ID!) { assignTask(id: $id, assigneeId: $assigneeId) { ${FIELDS} } }`;
export const SHUFFLE = 'mutation ($key: String) { assignTasks(idempotencyKey: $key) { assigned } }';

export interface TestPopug {
  readonly id: string;
  readonly roles: readonly Role[];
  readonly name?: string;
}

/** The code of the first refusal; undefined when there is none. */
export const codeOf = (answer: Pick<GraphQLAnswer, 'errors'>): string | undefined => answer.errors?.[0]?.extensions.code;

/** Tasks alone, with a manager; employees come when they are asked for. */
export class TasksFixture {
  readonly service: TestService;
  readonly manager: TestPopug = { id: uuidv7(), roles: ['MANAGER'] };
  readonly #tokens = new Map<string, string>();
  #socket: Client | undefined;

  private constructor(service: TestService) {
    this.service = service;
  }

  static async open(environment: Record<string, string> = {}): Promise<TasksFixture> {
    const fixture = new TasksFixture(await startTestService('tasks', environment));
    // The streams of Users and Accounting, which are not running here.
    const streams = await jetstreamManager(fixture.service.nats);
    await Promise.all([ensureStream(streams, 'users'), ensureStream(streams, 'accounting')]);
    await fixture.arrives(fixture.manager);
    return fixture;
  }

  async close(): Promise<void> {
    await this.#socket?.dispose();
    await this.service.stop();
  }

  /** A new user, as Users tells of them. */
  async arrives(user: TestPopug): Promise<void> {
    const state = { version: 1, name: user.name ?? 'Ann', email: `${user.id}@ates.test`, roles: [...user.roles], status: 'ACTIVE' as const };
    await this.service.publish(Object.assign(newEvent(userCreatedV1, user.id, state, OCCURRENCE), { sequence: '1' }));
    this.#tokens.set(user.id, await this.service.token(user));
    await eventually(async () => (await this.service.sql('select from user_copies where user_id = $1', [user.id])).length === 1);
  }

  async employee(name = 'Ann'): Promise<TestPopug> {
    const employee: TestPopug = { id: uuidv7(), roles: ['EMPLOYEE'], name };
    await this.arrives(employee);
    return employee;
  }

  /** The token of somebody who has arrived. */
  as(userId: string): string {
    return this.#tokens.get(userId) as string;
  }

  has(userId: string): boolean {
    return this.#tokens.has(userId);
  }

  /** As the manager, unless a token is given. */
  gql(query: string, variables: object = {}, token: string = this.as(this.manager.id)): Promise<GraphQLAnswer<any>> {
    return this.service.gql(query, variables, token);
  }

  create(fields: object = {}, token?: string): Promise<GraphQLAnswer<any>> {
    return this.gql(CREATE, { input: { title: 'Feed the parrot', ...fields } }, token);
  }

  async created(fields: object = {}): Promise<any> {
    return (await this.create(fields)).data['createTask'];
  }

  async task(id: string): Promise<any> {
    return (await this.gql(`query ($id: ID!) { task(id: $id) { ${FIELDS} } }`, { id })).data['task'];
  }

  outboxOf(aggregateId: string): Promise<{ version: number; dataschema: string; data: any }[]> {
    return this.service.sql('select version, dataschema, data from outbox where aggregate_id = $1 order by seq', [aggregateId]);
  }

  /** What a user is told of their tasks, from now on. */
  async watch(userId: string): Promise<{ readonly changes: { kind: string; task: any }[]; readonly errors: { extensions: { code: string } }[]; stop(): void }> {
    this.#socket ??= socketOf(this.service);
    const state = { changes: [] as { kind: string; task: any }[], errors: [] as { extensions: { code: string } }[], stop: () => {} };
    const query = 'subscription { myTasksChanged { kind task { id title status assignee { id } } } }';
    state.stop = this.#socket.subscribe(
      { query, extensions: { authorization: `Bearer ${this.as(userId)}` } },
      {
        next: ({ data }) => void state.changes.push((data as { myTasksChanged: { kind: string; task: any } }).myTasksChanged),
        error: (errors) => void state.errors.push(...(errors as { extensions: { code: string } }[])),
        complete: () => {},
      },
    );
    return state;
  }
}

function socketOf({ url, secret }: TestService): Client {
  class GatewaySocket extends WebSocket {
    constructor(address: string, protocols: string | string[]) {
      super(address, protocols, { headers: { 'x-gateway-secret': secret } });
    }
  }
  return createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: GatewaySocket, retryAttempts: 0 });
}
