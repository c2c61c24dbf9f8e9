import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CATALOG, definitionOf, readEvent, UPCASTS } from '../src/catalog.ts';
import { assertContract, EventContractError, newEvent } from '../src/event.ts';
import { taskAssignedV1 } from '../src/task-events.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');
const fixture = (dataschema: string): string => readFileSync(join(FIXTURES, `${dataschema}.json`), 'utf8');

describe('event contracts', () => {
  test('every version in the catalogue has a stored fixture, and every fixture a version', () => {
    const stored = readdirSync(FIXTURES).map((file) => file.replace(/\.json$/, ''));
    expect(stored.sort()).toEqual(CATALOG.map(({ dataschema }) => dataschema as string).sort());
  });

  test.each(CATALOG.map(({ dataschema }) => dataschema))('the stored %s is readable', (dataschema) => {
    const event = readEvent(fixture(dataschema));
    const { producer, type } = definitionOf(dataschema);
    expect(event).toMatchObject({ source: `/${producer}`, type });
    expect(JSON.parse(fixture(dataschema))).toMatchObject({ dataschema, type });
  });

  test.each(CATALOG.map(({ dataschema }) => dataschema))('the stored %s is read as the newest version of its type', (dataschema) => {
    const event = readEvent(fixture(dataschema));
    const { type } = definitionOf(dataschema);
    const newest = Math.max(...CATALOG.filter((definition) => definition.type === type).map(({ schemaVersion }) => schemaVersion));
    expect(event.dataschema).toBe(`${type}.v${newest}`);
    expect(() => assertContract(definitionOf(event.dataschema), event.data)).not.toThrow();
  });

  test.each(Object.entries(UPCASTS))('%s becomes the version after it, of the same type and producer', (dataschema, { to }) => {
    const { type, producer, schemaVersion } = definitionOf(dataschema);
    expect(to).toMatchObject({ type, producer, schemaVersion: schemaVersion + 1 });
  });

  test('an old version tells the same as the new one', () => {
    const { data } = readEvent(fixture('task.created.v1'));
    expect(data).toEqual(JSON.parse(fixture('task.created.v2')).data);
  });

  test('an event that does not fit its schema is refused when it is produced', () => {
    const data = { version: 1, assignmentNumber: 0, assigneeId: 'nobody', previousAssigneeId: null, businessDay: '2026-02-30', assignedAt: 'soon' };
    const produce = () => newEvent(taskAssignedV1, crypto.randomUUID(), data, { time: new Date(), traceparent: 'none' });
    expect(produce).toThrow(EventContractError);
    expect(produce).toThrow(/data\/assignmentNumber .*data\/assigneeId .*data\/businessDay/);
  });

  test.each([
    ['no JSON', 'popug'],
    ['no envelope', '{"type":"task.assigned"}'],
    ['an envelope without a sequence', fixture('task.assigned.v1').replace('"sequence"', '"position"')],
    ['a version nobody knows', fixture('task.assigned.v1').replaceAll('task.assigned.v1', 'task.assigned.v9')],
    ['data that lacks a field', fixture('task.assigned.v1').replace('"assigneeId"', '"assignee"')],
  ])('%s is refused when it is consumed', (_what, text) => {
    expect(() => readEvent(text)).toThrow(EventContractError);
  });

  test('an optional field that a newer producer added is no problem', () => {
    expect(() => readEvent(fixture('task.assigned.v1').replace('"assigneeId"', '"mood":"cheerful","assigneeId"'))).not.toThrow();
  });
});
