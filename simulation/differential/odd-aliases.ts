import { visit, type DocumentNode } from 'graphql';

/**
 * Aliases that are names of keys, or of members that every JavaScript object has: legal, and easily taken for something
 * else on the way. The reference runs under other names and gets these back in the end.
 */
export const ODD_ALIASES = ['id', 'code', 'constructor', '__proto__', 'toString'] as const;

const PREFIX = 'odd_';

/** The document with other names for odd aliases; the same one when it has none. */
export function withoutOddAliases(document: DocumentNode): DocumentNode {
  return visit(document, {
    Field: (field) => {
      const alias = field.alias?.value;
      if (alias === undefined || alias === field.name.value || !ODD_ALIASES.some((odd) => odd === alias)) return undefined;
      return { ...field, alias: { ...field.alias, value: `${PREFIX}${alias}` } };
    },
  });
}

/** Gives odd aliases back to what was made without them. */
export function withOddAliases<Made>(made: Made): Made {
  const back = (value: unknown): unknown => {
    if (typeof value === 'string' && value.startsWith(PREFIX)) return value.slice(PREFIX.length);
    if (Array.isArray(value)) return value.map(back);
    if (typeof value !== 'object' || value === null) return value;
    const copy = Object.create(null) as Record<string, unknown>;
    for (const [name, member] of Object.entries(value)) copy[back(name) as string] = back(member);
    return copy;
  };
  return back(made) as Made;
}
