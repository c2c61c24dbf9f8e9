import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { PARTITIONS, streamOf } from '@ates/shared-events/streams';
import type { Producer } from '@ates/shared-events/event';
import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually, startTestService, type TestService } from '../../scripts/test-service.ts';
import { contracts } from '../catalogue.ts';
import { SUBSCRIPTIONS } from '../subscriptions.ts';

const ALL = contracts();

/** Whether a NATS subject pattern takes a subject. */
function takes(pattern: string, subject: string): boolean {
  const words = subject.split('.');
  const parts = pattern.split('.');
  const rest = parts.indexOf('>');
  if (rest === -1 ? parts.length !== words.length : words.length <= rest) return false;
  return parts.slice(0, rest === -1 ? undefined : rest).every((part, index) => part === '*' || part === words[index]);
}

/** The event versions of which some JetStream consumer takes every partition. */
async function received(manager: JetStreamManager, producers: readonly Producer[]): Promise<string[]> {
  const patterns: string[] = [];
  for (const producer of producers) {
    for await (const { config } of manager.consumers.list(streamOf(producer))) {
      patterns.push(...(config.filter_subjects ?? [config.filter_subject ?? `ates.${producer}.>`]));
    }
  }
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  return ALL.filter(({ natsSubject }) => partitions.every((partition) => patterns.some((pattern) => takes(pattern, `${natsSubject}.${partition}`)))).map(
    ({ dataschema }) => dataschema,
  );
}

describe('The contracts know who receives what', () => {
  let service: TestService | undefined;
  afterEach(() => service?.stop());

  test.each([...new Set(SUBSCRIPTIONS.map((each) => each.service))])('%s receives what they say, no less and no more', async (name) => {
    service = await startTestService(name);
    const manager = await jetstreamManager(service.nats);
    const others = (['users', 'tasks', 'accounting'] as const).filter((producer) => producer !== name);
    for (const producer of others) await manager.streams.add({ name: streamOf(producer), subjects: [`ates.${producer}.>`] });
    const said = ALL.filter(({ consumers }) => consumers.includes(name)).map(({ dataschema }) => dataschema);
    await eventually(async () => (await received(manager, others)).length >= said.length);
    expect(await received(manager, others)).toEqual(said);
  });
});
