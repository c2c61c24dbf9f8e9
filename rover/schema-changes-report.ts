import type { SchemaChange, SchemaChanges } from './schema-changes.ts';
import type { BrokenDocument } from './schema-changes-operations.ts';

export interface SchemaCheck extends SchemaChanges {
  /** What the schemas were compared with. */
  readonly base: string;
  /** Undefined when no documents were given. */
  readonly brokenDocuments: readonly BrokenDocument[] | undefined;
}

export function breaksClients({ breaking, brokenDocuments = [] }: SchemaCheck): boolean {
  return breaking.length > 0 || brokenDocuments.length > 0;
}

/** For people: the worst first. */
export function reportOf(check: SchemaCheck): string {
  const { base, breaking, dangerous, safe, brokenDocuments } = check;
  const documents = brokenDocuments === undefined ? [] : documentsReport(brokenDocuments);
  if (breaking.length + dangerous.length + safe.length === 0) return [`Clients see the same API as at ${base}.`, ...documents].join('\n');
  return [
    `Against ${base}: ${breaking.length} breaking, ${dangerous.length} dangerous, ${safe.length} safe.`,
    ...group('Breaking: clients that use it fail', breaking),
    ...group('Dangerous: clients that did not expect it may misbehave', dangerous),
    ...group('Safe', safe),
    ...documents,
    ...(breaksClients(check) ? ['', 'Add beside what there is, mark that @deprecated, and take it away once no client uses it; or take all clients along.'] : []),
  ].join('\n');
}

function group(title: string, changes: readonly SchemaChange[]): string[] {
  if (changes.length === 0) return [];
  return ['', title, ...changes.map(({ path, message, reason }) => `  - ${path === undefined ? '' : `${path}: `}${message}${reason === undefined || reason === message ? '' : `\n      ${reason}`}`)];
}

function documentsReport(broken: readonly BrokenDocument[]): string[] {
  if (broken.length === 0) return ['', 'No document of the clients breaks.'];
  return ['', 'Documents of the clients that break', ...broken.flatMap(({ name, errors }) => [`  - ${name}`, ...errors.map((error) => `      ${error}`)])];
}
