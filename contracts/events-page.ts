import { ENVELOPE } from './asyncapi.ts';
import type { Contract } from './catalogue.ts';
import type { JsonSchema } from './compatibility.ts';
import { schemaFile } from './published.ts';

/** `docs/events.md`: the events in tables, for reading where the repository is looked at. */
export function eventsPage(contracts: readonly Contract[]): string {
  const [first] = contracts;
  if (first === undefined) throw new Error('The catalogue is empty: there is nothing to tell of');
  return `${[
    '# Events',
    'Made from the catalogue in `shared-events/src` by `npm run contracts`, as is [asyncapi.yaml](../contracts/asyncapi.yaml), which has the same ' +
      'for tools. Not edited by hand.',
    'Each service reads what it takes from the streams; what a consumer does not know of an event it passes over.',
    table(['event', 'what it tells', 'produced by', 'read by'], contracts.map(overviewRow)),
    '## The envelope',
    `CloudEvents 1.0 in JSON. The NATS subject is \`ates.<producer>.<type>.v<N>.<partition>\`, the header \`Nats-Msg-Id\` is the event's \`id\`.`,
    fieldTable(ENVELOPE),
    json(first.fixture),
    ...contracts.flatMap(section),
  ].join('\n\n')}\n`;
}

function overviewRow({ dataschema, description, producer, consumers, supersededBy }: Contract): string[] {
  const readAs = supersededBy === undefined ? '' : `, as ${linkTo(supersededBy)}`;
  return [linkTo(dataschema), description, supersededBy === undefined ? producer : `nobody any more (${producer})`, `${consumers.join(', ') || 'nobody'}${readAs}`];
}

function section({ dataschema, description, natsSubject, schema, supersededBy, fixture }: Contract): string[] {
  return [
    `## ${dataschema}`,
    description,
    ...(supersededBy === undefined ? [] : [`Superseded by ${linkTo(supersededBy)}, as which it is read. Streams keep the old ones.`]),
    `NATS subject \`${natsSubject}.<partition>\`; JSON Schema of the data: [${schemaFile(dataschema)}](../contracts/published/${schemaFile(dataschema)}).`,
    fieldTable(schema),
    json(fixture.data),
  ];
}

/** As a git host makes an anchor of a heading: dots are left out. */
function linkTo(dataschema: string): string {
  return `[${dataschema}](#${dataschema.replaceAll('.', '')})`;
}

function fieldTable(schema: JsonSchema): string {
  return table(['field', 'type', 'meaning'], fieldRows(schema, ''));
}

/** One row per field; those of a nested object follow it under its name. */
function fieldRows({ properties = {}, required = [] }: JsonSchema, prefix: string): string[][] {
  return Object.entries(properties).flatMap(([field, schema]) => [
    [`\`${prefix}${field}\`${required.includes(field) ? '' : ' (optional)'}`, typeOf(schema), schema.description ?? ''],
    ...fieldRows(schema, `${prefix}${field}.`),
  ]);
}

function typeOf(schema: JsonSchema): string {
  const { type, format, items, anyOf, const: only, minimum, pattern } = schema;
  if (anyOf !== undefined) return anyOf.map(typeOf).join(' or ');
  if (only !== undefined) return `\`${JSON.stringify(only)}\``;
  if (items !== undefined) return `array of ${typeOf(items)}`;
  const limits = [
    ...(typeof format === 'string' ? [format] : []),
    ...(typeof minimum === 'number' && Number.isSafeInteger(minimum) && minimum > Number.MIN_SAFE_INTEGER ? [`from ${minimum}`] : []),
    ...(typeof pattern === 'string' ? [`\`${pattern}\``] : []),
  ];
  return limits.length === 0 ? String(type) : `${String(type)} (${limits.join(', ')})`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function json(value: unknown): string {
  return `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;
}
