import { isDeepStrictEqual } from 'node:util';

/** A JSON Schema, as far as it is looked into here. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** Keywords that say something to people and change nothing about what is valid. */
const ANNOTATIONS: ReadonlySet<string> = new Set(['$schema', '$comment', 'title', 'description', 'deprecated', 'examples']);
/** Keywords that are looked into; any other must stay as it is. */
const LOOKED_INTO: ReadonlySet<string> = new Set(['properties', 'required', 'items', 'anyOf']);

/**
 * What keeps `current` from standing in for `published`, in words; empty when nothing does. Allowed are words for people
 * and new optional fields, also in nested objects. Even a laxer schema is refused: old consumers would refuse its events.
 * @param place where in the data, for the words
 */
export function breakingChanges(published: JsonSchema, current: JsonSchema, place = 'data'): string[] {
  const keywords = new Set([...Object.keys(published), ...Object.keys(current)]);
  return [
    ...[...keywords]
      .filter((keyword) => !ANNOTATIONS.has(keyword) && !LOOKED_INTO.has(keyword) && !isDeepStrictEqual(published[keyword], current[keyword]))
      .map((keyword) => `${place}: ${keyword} was ${words(published[keyword])}, is ${words(current[keyword])}`),
    ...fieldChanges(published, current, place),
    ...(published.items !== undefined || current.items !== undefined ? breakingChanges(published.items ?? {}, current.items ?? {}, `${place}[]`) : []),
    ...alternativeChanges(published.anyOf ?? [], current.anyOf ?? [], place),
  ];
}

function fieldChanges(published: JsonSchema, current: JsonSchema, place: string): string[] {
  const before = published.properties ?? {};
  const after = current.properties ?? {};
  const isRequired = (schema: JsonSchema, field: string): boolean => schema.required?.includes(field) ?? false;
  const kept = Object.entries(before).flatMap(([field, schema]) => {
    const now = after[field];
    if (now === undefined) return [`${place}.${field} was removed`];
    const [was, is] = [isRequired(published, field), isRequired(current, field)];
    return [...(was === is ? [] : [`${place}.${field} was ${presence(was)}, is ${presence(is)}`]), ...breakingChanges(schema, now, `${place}.${field}`)];
  });
  const added = Object.keys(after).filter((field) => before[field] === undefined && isRequired(current, field));
  return [...kept, ...added.map((field) => `${place}.${field} was added and is required`)];
}

function alternativeChanges(published: readonly JsonSchema[], current: readonly JsonSchema[], place: string): string[] {
  if (published.length !== current.length) return [`${place}: what it may be was ${words(published)}, is ${words(current)}`];
  return published.flatMap((alternative, index) => breakingChanges(alternative, current[index] ?? {}, place));
}

function presence(required: boolean): string {
  return required ? 'required' : 'optional';
}

function words(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
