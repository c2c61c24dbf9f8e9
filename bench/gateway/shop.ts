import { Supergraph } from '@apollo/federation-internals';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, parse, type DocumentNode, type ExecutionResult, type GraphQLSchema } from 'graphql';
import { composeShop, federation2Sdl, SHOP } from './shop-schema.ts';

interface Shopper {
  readonly id: string;
  readonly handle: string;
  readonly fullName: string;
  readonly since: string;
  readonly points: number;
  readonly opinions: Opinion[];
}

interface Article {
  readonly code: string;
  readonly title: string;
  readonly maker: string;
  readonly summary: string;
  readonly priceCents: number;
  readonly weightGrams: number;
  readonly inStock: boolean;
  readonly shelf: string;
  readonly deliveryCents: number;
  readonly opinions: Opinion[];
  readonly opinionCount: () => number;
  readonly rating: () => number | null;
}

interface Opinion {
  readonly id: string;
  readonly stars: number;
  readonly text: string;
  readonly author: Shopper;
  readonly article: Article;
}

const ARTICLES = 2_000;
/** The first articles of the catalogue, about which there are opinions. */
const TALKED_ABOUT = 9;
/** How many opinions each shopper has; the first one is the one who asks. */
const OPINIONS_OF_SHOPPERS = [5, 4, 4, 4, 4, 3];
const WARES = ['Lantern', 'Kettle', 'Inkwell', 'Compass', 'Hourglass', 'Bellows', 'Thimble', 'Anvil', 'Spindle'];
const MAKERS = ['Alder & Sons', 'Brightwater', 'Copperfield Works', 'Dovecote'];
const GIVEN_NAMES = ['Ada', 'Basil', 'Clara', 'Dorian', 'Edith', 'Felix'];
const TEXTS = ['Lighter than it looks.', 'Arrived with a dent, was replaced at once.', 'My aunt has had hers for thirty years.', 'Does what it says.'];
const FREE_DELIVERY_CENTS = 5_000;
const HANDLING_CENTS = 250;

const { shoppers, articles } = openShop();

/** The roots of all subgraphs, and of the shop as one. */
const roots = {
  me: shoppers[0],
  shoppers,
  featured: ({ first }: { first: number }) => articles.slice(0, first),
  catalogue: ({ first }: { first: number }) => articles.slice(0, first),
};

const subgraphSchemas = new Map(SHOP.map(({ name, sdl }) => [name, subgraphSchema(name, federation2Sdl({ name, sdl }))]));
const documents = new Map<string, DocumentNode>();
let wholeShop: GraphQLSchema | undefined;

/**
 * What any gateway has to answer, found without one.
 * @throws Error when the operation has errors: then the bench itself is wrong
 */
export function expectedData(query: string): unknown {
  wholeShop ??= Supergraph.build(composeShop(Object.fromEntries(SHOP.map(({ name }) => [name, `http://${name}.invalid`])))).apiSchema().toGraphQLJSSchema();
  const { data, errors } = execute({ schema: wholeShop, document: parse(query), rootValue: roots }) as ExecutionResult;
  if (errors !== undefined) throw new AggregateError(errors, `an operation of the bench fails: ${query}`);
  return JSON.parse(JSON.stringify(data));
}

/** What a subgraph answers to the body of a request, whichever gateway has written it. */
export async function answerOfSubgraph(subgraph: string, body: string): Promise<string> {
  const schema = subgraphSchemas.get(subgraph);
  if (schema === undefined) throw new Error(`there is no subgraph ${subgraph}`);
  const { query, variables, operationName } = JSON.parse(body) as { query: string; variables?: Record<string, unknown> | null; operationName?: string | null };
  return JSON.stringify(await execute({ schema, document: documentOf(query), rootValue: roots, variableValues: variables ?? {}, operationName }));
}

function documentOf(query: string): DocumentNode {
  const document = documents.get(query) ?? parse(query);
  documents.set(query, document);
  return document;
}

function subgraphSchema(name: string, sdl: string): GraphQLSchema {
  const byCode = new Map(articles.map((article) => [article.code, article]));
  const byId = new Map(shoppers.map((shopper) => [shopper.id, shopper]));
  const opinions = new Map(shoppers.flatMap((shopper) => shopper.opinions).map((opinion) => [opinion.id, opinion]));
  const Article = { __resolveReference: ({ code }: Article) => byCode.get(code) };
  const Shopper = { __resolveReference: ({ id }: Shopper) => byId.get(id) };
  const Opinion = { __resolveReference: ({ id }: Opinion) => opinions.get(id) };
  // What the gateway has sent is what the delivery is told by: one that sends something else is found out.
  const Stocked = { __resolveReference: (given: Article) => ({ ...byCode.get(given.code), deliveryCents: deliveryCents(given) }) };
  const resolvers = new Map<string, Record<string, object>>([
    ['accounts', { Shopper }],
    ['inventory', { Article: Stocked }],
    ['products', { Article }],
    ['reviews', { Article, Shopper, Opinion }],
  ]);
  return buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: resolvers.get(name) as Record<string, Record<string, never>> }]);
}

function deliveryCents({ priceCents, weightGrams }: Pick<Article, 'priceCents' | 'weightGrams'>): number {
  return priceCents > FREE_DELIVERY_CENTS ? 0 : HANDLING_CENTS + Math.round(weightGrams / 2);
}

function openShop(): { readonly shoppers: Shopper[]; readonly articles: Article[] } {
  const people = OPINIONS_OF_SHOPPERS.map((_, index): Shopper => {
    const given = GIVEN_NAMES[index % GIVEN_NAMES.length] as string;
    return { id: `${index + 1}`, handle: `@${given.toLowerCase()}`, fullName: `${given} Underhill`, since: `1897-0${index + 1}-11`, points: index * 130, opinions: [] };
  });
  const wares = Array.from({ length: ARTICLES }, (_, index) => articleOf(index));
  let last = 0;
  for (const [index, author] of people.entries()) {
    for (let count = 0; count < (OPINIONS_OF_SHOPPERS[index] ?? 0); count++) {
      const article = wares[last % TALKED_ABOUT] as Article;
      const opinion: Opinion = { id: `opinion-${++last}`, stars: 1 + ((last * 7) % 5), text: TEXTS[last % TEXTS.length] as string, author, article };
      author.opinions.push(opinion);
      article.opinions.push(opinion);
    }
  }
  return { shoppers: people, articles: wares };
}

function articleOf(index: number): Article {
  const ware = WARES[index % WARES.length] as string;
  const maker = MAKERS[index % MAKERS.length] as string;
  const price = { priceCents: 199 + ((index * 7_919) % 9_000), weightGrams: 20 + ((index * 613) % 4_000) };
  const opinions: Opinion[] = [];
  return {
    code: `${ware.slice(0, 3).toUpperCase()}-${index}`,
    title: `${ware} No. ${index}`,
    maker,
    summary: `A ${ware.toLowerCase()} by ${maker}, to be mended.`,
    ...price,
    inStock: index % 3 !== 0,
    shelf: `${index % 40}/${index % 7}`,
    deliveryCents: deliveryCents(price),
    opinions,
    opinionCount: () => opinions.length,
    rating: () => (opinions.length === 0 ? null : Math.round((opinions.reduce((sum, { stars }) => sum + stars, 0) / opinions.length) * 10) / 10),
  };
}
