import { DomainError } from './domain-error.ts';

/** Arguments of every list: how many, and after which cursor. */
export interface PageArguments {
  readonly first?: number | null;
  readonly after?: string | null;
}

/** A page to read: `limit` rows, after the row whose sort key is `after`. */
export interface Page {
  readonly limit: number;
  readonly after: readonly string[] | null;
}

export interface Connection<Node> {
  readonly edges: readonly { readonly node: Node; readonly cursor: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export const PAGE_DEFAULT = 20;
export const PAGE_MAX = 100;

/**
 * Reads `first` and `after`.
 * @throws DomainError BAD_USER_INPUT when `first` is not 1..100 or `after` is no cursor of this list.
 */
export function pageOf({ first, after }: PageArguments, keyLength = 1): Page {
  const limit = first ?? PAGE_DEFAULT;
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_MAX) {
    throw new DomainError('BAD_USER_INPUT', `first is ${limit}; ask for 1 to ${PAGE_MAX} at a time and go on with after: endCursor`);
  }
  return { limit, after: after === undefined || after === null ? null : decodeCursor(after, keyLength) };
}

/**
 * A connection from the rows of a page. Read one row more than `page.limit`: it tells whether there is a next page.
 * @param keyOf the row's sort key, which makes its cursor
 */
export function connectionOf<Row, Node = Row>(
  rows: readonly Row[],
  page: Page,
  keyOf: (row: Row) => readonly string[],
  nodeOf: (row: Row) => Node = (row) => row as unknown as Node,
): Connection<Node> {
  const edges = rows.slice(0, page.limit).map((row) => ({ node: nodeOf(row), cursor: cursorOf(keyOf(row)) }));
  return { edges, pageInfo: { hasNextPage: rows.length > page.limit, endCursor: edges.at(-1)?.cursor ?? null } };
}

/** The cursor of a row, from its sort key. */
export function cursorOf(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

function decodeCursor(cursor: string, keyLength: number): string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(key) && key.length === keyLength && key.every((part) => typeof part === 'string')) return key;
  } catch {
    // Refused below, like every other cursor that this list did not give out.
  }
  throw foreignCursor();
}

/** The refusal of a cursor that this list did not give out. */
export function foreignCursor(): DomainError {
  return new DomainError('BAD_USER_INPUT', 'after is no cursor of this list: use the endCursor or an edge cursor of an earlier page');
}

const INTEGER_MAX = 2 ** 31 - 1;

/** A part of a cursor that is a whole number of PostgreSQL's `integer`. @throws DomainError BAD_USER_INPUT when it is none */
export function wholeNumber(part: string | undefined): number {
  const number = Number(part);
  if (!Number.isInteger(number) || Math.abs(number) > INTEGER_MAX) throw foreignCursor();
  return number;
}
