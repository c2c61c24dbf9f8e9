import { SUBSCRIPTIONS, type Subscription } from '../contracts/subscriptions.ts';
import { PRODUCERS, type Producer } from '../shared-events/src/event.ts';
import { REVOCATIONS_SINCE_SUBJECT, REVOCATIONS_SUBJECT } from '../service-kit/src/revocation-message.ts';
import { consumerName, eventsAbout, readingsOf, streamOf } from '../shared-events/src/streams.ts';
import { NATS_CLIENTS, type NatsClient, type SubgraphName } from './stack-secrets.ts';

/** The user who may do everything: it asks whether the server is ready, and it is for people's commands. No service has its password. */
export const OPERATOR = 'operator';

/** Subjects that a user may publish to and subscribe to, as NATS patterns; everything else is refused. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Also to publish one answer to each message that it got, wherever that asked for it to go. */
  readonly answers?: boolean;
}

/** In which time an answer may be given. */
const ANSWER_EXPIRES = '5s';

/** What the user of this process may do. */
function permissionsOf(client: NatsClient): NatsPermissions {
  return client === 'gateway' ? gatewayPermissions() : subgraphPermissions(client);
}

/** The gateway, the only public process, hears who was refused, and nothing else. */
function gatewayPermissions(): NatsPermissions {
  return { publish: [REVOCATIONS_SINCE_SUBJECT], subscribe: [REVOCATIONS_SUBJECT, '_INBOX_gateway.>'] };
}

function subgraphPermissions(service: SubgraphName): NatsPermissions {
  const stream = PRODUCERS.find((producer) => producer === service);
  const consumes = SUBSCRIPTIONS.filter((subscription) => subscription.service === service);
  const live = `live.${service}.>`;
  // Users tells what was revoked, under its own live subjects, and answers questions about it.
  const tells = service === 'users';
  return {
    publish: [
      '$JS.API.INFO',
      live,
      ...(tells ? [] : [REVOCATIONS_SINCE_SUBJECT]),
      ...(stream === undefined ? [] : relaySubjects(stream)),
      ...consumes.flatMap((subscription) => consumerSubjects(subscription)),
    ],
    // Tasks tells people of changes to their tasks as they are published, by whichever replica.
    // Replies come to the user's own inbox (service-kit/src/nats.ts), so that nobody hears what another one was answered.
    subscribe: [live, ...(tells ? [] : [REVOCATIONS_SUBJECT]), ...(service === 'tasks' ? [eventsAbout('tasks', 'task')] : []), `_INBOX_${service}.>`],
    ...(tells && { answers: true }),
  };
}

/** What the outbox relay needs: to publish, to make its one stream and to look what it holds. Neither to delete, to empty nor to reconfigure it. */
function relaySubjects(producer: Producer): string[] {
  const stream = streamOf(producer);
  return [`ates.${producer}.>`, ...['INFO', 'CREATE', 'MSG.GET'].map((request) => `$JS.API.STREAM.${request}.${stream}`)];
}

/** What reading a stream needs: its state, and one consumer per reading, each by its full name: NATS has no pattern for part of a word. */
function consumerSubjects({ service, producer, about }: Subscription): string[] {
  const stream = streamOf(producer);
  const names = readingsOf(about).map((reading) => consumerName(service, reading));
  return [
    ...['INFO', 'MSG.GET'].map((request) => `$JS.API.STREAM.${request}.${stream}`),
    ...names.flatMap((name) => [
      `$JS.API.CONSUMER.CREATE.${stream}.${name}`,
      // The client puts the subjects that the consumer filters by behind its name.
      `$JS.API.CONSUMER.CREATE.${stream}.${name}.>`,
      ...['INFO', 'DELETE', 'MSG.NEXT'].map((request) => `$JS.API.CONSUMER.${request}.${stream}.${name}`),
    ]),
  ];
}

/** One who may connect. */
export interface NatsUser {
  readonly name: string;
  readonly password: string;
  /** Default: everything. */
  readonly permissions?: NatsPermissions | undefined;
}

/** A user for each subgraph and for the gateway, with what it may do. */
export function serviceUsers(passwordOf: (client: NatsClient) => string): NatsUser[] {
  return NATS_CLIENTS.map((name) => ({ name, password: passwordOf(name), permissions: permissionsOf(name) }));
}

/**
 * The block of nats-server's configuration that lets these users in, and nobody else.
 * A password that starts with `$` is a variable of the server's environment.
 */
export function authorizationText(users: readonly NatsUser[]): string {
  const blocks = users.map(({ name, password, permissions }) => {
    const secret = password.startsWith('$') ? password : JSON.stringify(password);
    return `{ user: ${JSON.stringify(name)}, password: ${secret}${permissions ? `, permissions: ${permissionsText(permissions)}` : ''} }\n`;
  });
  return `authorization { users: [\n${blocks.join('')}] }\n`;
}

function permissionsText({ publish, subscribe, answers }: NatsPermissions): string {
  return JSON.stringify({ publish, subscribe, ...(answers === true && { allow_responses: { max: 1, expires: ANSWER_EXPIRES } }) }, undefined, 2);
}
