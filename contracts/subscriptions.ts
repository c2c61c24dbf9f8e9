import type { Producer } from '@ates/shared-events/event';

/** A service that takes events of a producer. */
export interface Subscription {
  readonly service: string;
  readonly producer: Producer;
  /** Only events of these aggregates, the first word of their types; default all. One that is added later comes last. */
  readonly about?: readonly string[];
}

/** Who takes whose events. The services themselves say it where they start their consumers; a test compares. */
export const SUBSCRIPTIONS: readonly Subscription[] = [
  { service: 'tasks', producer: 'users' },
  { service: 'tasks', producer: 'accounting', about: ['task', 'day'] },
  { service: 'accounting', producer: 'users' },
  { service: 'accounting', producer: 'tasks' },
  { service: 'analytics', producer: 'users' },
  { service: 'analytics', producer: 'tasks' },
  { service: 'analytics', producer: 'accounting' },
];
