import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { CATALOG, readEvent } from '../src/catalog.ts';
import { EventContractError, newEvent } from '../src/event.ts';
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
    expect(event.dataschema).toBe(dataschema);
    expect(event.source).toBe(`/${CATALOG.find((definition) => definition.dataschema === dataschema)?.producer}`);
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
