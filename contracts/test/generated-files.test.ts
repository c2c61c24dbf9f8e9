import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import asyncApiSpecs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse as parseYaml } from 'yaml';
import { contracts, type Contract } from '../catalogue.ts';
import { generatedFiles, refresh } from '../generate.ts';
import { PUBLISHED, schemaFile } from '../published.ts';

const ROOT = join(import.meta.dirname, '../..');
const ALL = contracts();
const NAMES = ALL.map(({ dataschema }) => dataschema);
const committed = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const fixture = (dataschema: string) => JSON.parse(committed(`shared-events/fixtures/${dataschema}.json`));

describe('The committed contracts', () => {
  test('are what the catalogue gives, and no published version changed (else run `npm run contracts`)', async () => {
    const { words } = await refresh(ALL, ROOT, 'CHECK');
    expect(words).toMatch(/are what the catalogue gives\.$/);
  });

  test.each(NAMES)('have a draft 2020-12 schema of %s, which its stored event fits', (dataschema) => {
    const schema = JSON.parse(committed(`${PUBLISHED}/${schemaFile(dataschema)}`));
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: dataschema, description: expect.stringMatching(/\.$/) });
    const ajv = addFormats.default(new Ajv2020({ strictTypes: true }));
    expect(ajv.validateSchema(schema)).toBe(true);
    const validate = ajv.compile(schema);
    validate(fixture(dataschema).data);
    expect(validate.errors).toBeNull();
    expect(validate({ ...fixture(dataschema).data, version: 0 })).toBe(false);
  });
});

describe('The AsyncAPI document', () => {
  const document = parseYaml(committed('contracts/asyncapi.yaml'));
  // The official schema brings its own copy of draft 07, and keywords of which ajv's strict mode knows nothing.
  const official = addFormats.default(new Ajv({ strict: false, meta: false, validateSchema: false })).compile(asyncApiSpecs.schemas['3.0.0'] as object);

  test('is valid by the official schema of AsyncAPI 3.0', () => {
    official(document);
    expect(official.errors).toBeNull();
  });

  test('would not be with an operation that neither sends nor receives', () => {
    const operations = { ...document.operations, 'tasks.send.task.created.v2': { ...document.operations['tasks.send.task.created.v2'], action: 'shout' } };
    expect(official({ ...document, operations })).toBe(false);
  });

  test('points at nothing that is not there', () => {
    const references = [...committed('contracts/asyncapi.yaml').matchAll(/\$ref: "#\/(.+)"/g)].map((match) => match[1] as string);
    expect(references.length).toBeGreaterThan(NAMES.length);
    const missing = references.filter((reference) => reference.split('/').reduce((part, name) => part?.[name], document) === undefined);
    expect(missing).toEqual([]);
  });

  test.each(NAMES)('gives %s an address, who sends it unless it is superseded, who receives it, and a payload that its stored event fits', (dataschema) => {
    const { natsSubject, producer, consumers, supersededBy } = ALL.find((contract) => contract.dataschema === dataschema) as Contract;
    expect(document.channels[dataschema].address).toBe(`${natsSubject}.{partition}`);
    const operations = Object.keys(document.operations).filter((name) => name.endsWith(`.${dataschema}`));
    const senders = supersededBy === undefined ? [`${producer}.send.${dataschema}`] : [];
    expect(operations).toEqual([...senders, ...consumers.map((service) => `${service}.receive.${dataschema}`)]);

    const ajv = addFormats.default(new Ajv2020({ strict: false }));
    const validate = ajv.compile({ $ref: `#/components/messages/${dataschema}/payload`, components: document.components });
    validate(fixture(dataschema));
    expect(validate.errors).toBeNull();
    expect(validate({ ...fixture(dataschema), source: '/gateway' })).toBe(false);
    expect(validate({ ...fixture(dataschema), data: {} })).toBe(false);
    expect(document.components.messages[dataschema].examples[0].payload).toEqual(fixture(dataschema));
  });
});

describe('The page of events', () => {
  test('has a section, and in its first table a link to it, for each event', () => {
    const page = committed('docs/events.md');
    for (const dataschema of NAMES) {
      expect(page).toContain(`\n## ${dataschema}\n`);
      expect(page).toContain(`| [${dataschema}](#${dataschema.replaceAll('.', '')}) |`);
    }
  });

  test('tells fields of nested objects and which ones are optional', () => {
    const nested = { type: 'object', required: ['grams'], properties: { grams: { type: 'integer', minimum: 1 }, taste: { type: 'string' } } };
    const [first] = ALL as [Contract];
    const page = generatedFiles([{ ...first, schema: { type: 'object', required: ['meal'], properties: { meal: nested } } }]).get('docs/events.md');
    expect(page).toContain('| `meal` | object |  |\n| `meal.grams` | integer (from 1) |  |\n| `meal.taste` (optional) | string |  |');
  });
});

describe('Refreshing', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'contracts-test-'));
    cpSync(join(ROOT, PUBLISHED), join(root, PUBLISHED), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const withField = (contract: Contract, required: readonly string[]): Contract => ({
    ...contract,
    schema: { ...contract.schema, required: [...(contract.schema.required ?? []), ...required], properties: { ...contract.schema.properties, mood: { type: 'string' } } },
  });
  const [changed, ...others] = ALL as [Contract, ...Contract[]];
  const path = `${PUBLISHED}/${schemaFile(changed.dataschema)}`;

  test('writes an added optional field; checking only tells of it', async () => {
    await refresh(ALL, root, 'WRITE');
    const all = [withField(changed, []), ...others];
    expect(await refresh(all, root, 'CHECK')).toEqual({ ok: false, words: expect.stringMatching(new RegExp(`${schemaFile(changed.dataschema)}.*npm run contracts`)) });
    expect(readFileSync(join(root, path), 'utf8')).toBe(committed(path));
    expect(await refresh(all, root, 'WRITE')).toMatchObject({ ok: true });
    expect(JSON.parse(readFileSync(join(root, path), 'utf8')).properties.mood).toEqual({ type: 'string' });
    expect(await refresh(all, root, 'CHECK')).toMatchObject({ ok: true });
  });

  test.each(['WRITE', 'CHECK'] as const)('refuses a required field and writes nothing (%s)', async (mode) => {
    const answer = await refresh([withField(changed, ['mood']), ...others], root, mode);
    expect(answer).toEqual({ ok: false, words: expect.stringContaining(`${changed.dataschema}: data.mood was added and is required`) });
    expect(readFileSync(join(root, path), 'utf8')).toBe(committed(path));
  });

  test('refuses to forget a version', async () => {
    expect(await refresh(others, root, 'WRITE')).toEqual({ ok: false, words: expect.stringContaining(`${changed.dataschema} is published`) });
  });
});
