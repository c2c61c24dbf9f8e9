import { DomainError } from './domain-error.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether `id` can be an id at all; what can't is unknown without asking the database. */
export function isId(id: string): boolean {
  return UUID.test(id);
}

/** @throws DomainError NOT_FOUND when `id` can't be an id of a `thing`. */
export function requireId(thing: string, id: string): string {
  if (!isId(id)) throw notFound(thing, id);
  return id;
}

/** The refusal for a `thing` that does not exist. */
export function notFound(thing: string, id: string): DomainError {
  return new DomainError('NOT_FOUND', `There is no ${thing} ${id}: check the id, or list what there is`);
}
