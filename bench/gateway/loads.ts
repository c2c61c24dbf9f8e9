/** Operations that are sent in turn. */
export interface Load {
  readonly name: LoadName;
  /** Documents; each request sends the next one. */
  readonly queries: readonly string[];
  /** Over this one connection alone, whatever the options say. */
  readonly connections?: number;
}

export const LOADS = ['S', 'L', 'XL', 'D', 'ONE'] as const;
export type LoadName = (typeof LOADS)[number];

const SMALL = '{ me { id handle fullName points opinions { id stars text article { code title priceCents inStock } } } }';

const ARTICLE = 'code title maker priceCents weightGrams inStock deliveryCents';
const SHOPPER = 'id handle fullName';
const OPINION = 'id text';
/** Articles, their opinions, who has them, what else they talk about, and what others say of that. */
const LARGE = `{
  shoppers { ${SHOPPER} opinions { ${OPINION} article { ${ARTICLE}
    opinions { ${OPINION} author { ${SHOPPER} opinions { ${OPINION} article { ${ARTICLE} } } } } } } }
  featured { ${ARTICLE} opinions { ${OPINION} author { ${SHOPPER} opinions { ${OPINION} article { ${ARTICLE} } } } } }
}`;

const HUGE = '{ catalogue(first: 2000) { code title maker summary priceCents weightGrams inStock shelf opinionCount rating } }';

/** Fields that distinct operations choose from. */
const CHOICES = {
  shopper: ['id', 'handle', 'fullName', 'since', 'points'],
  opinion: ['id', 'stars', 'text'],
  article: ['code', 'title', 'maker', 'priceCents', 'weightGrams', 'inStock', 'shelf', 'opinionCount', 'rating'],
};

/** @param operations how many distinct ones there are, where they are distinct */
export function loadOf(name: LoadName, operations: number): Load {
  const queries = { S: () => [SMALL], L: () => [LARGE], XL: () => [HUGE], D: () => distinctOperations(operations), ONE: () => [SMALL] };
  return { name, queries: queries[name](), ...(name === 'ONE' && { connections: 1 }) };
}

/** Each asks for other fields under another name; they are as large as S. */
function distinctOperations(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const bits = Math.imul(index + 1, 0x9e3779b1) >>> 0;
    const shopper = chosen(CHOICES.shopper, bits);
    const opinion = chosen(CHOICES.opinion, bits >>> 5);
    const article = chosen(CHOICES.article, bits >>> 8);
    return `query Number${index} { me { ${shopper} opinions { ${opinion} article { ${article} alias${index}: title } } } }`;
  });
}

/** At least the first field. */
function chosen(fields: readonly string[], bits: number): string {
  return fields.filter((_, index) => index === 0 || ((bits >>> index) & 1) === 1).join(' ');
}
