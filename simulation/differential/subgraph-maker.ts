import { between, oneOf, shuffled, type Random } from '../../chaos/random.ts';
import { happens } from './chance.ts';
import { addField, addInterfaceFields, declare, draftOf, ensureType, membersIn, printSubgraph, type SubgraphDraft } from './subgraph-text.ts';
import { drawTypePool, fieldNames, SCALARS, shapeOf, type FieldNames, type FieldShape, type TypePool } from './type-pool.ts';

const KEYS = ['id', 'k1 k2', 'ref { id }', 'code'] as const;
type Key = (typeof KEYS)[number];

interface Entity {
  readonly name: string;
  readonly keys: readonly Key[];
  readonly implemented: readonly string[];
  /** The first one knows all keys. */
  readonly homes: readonly SubgraphDraft[];
  /** Fields without arguments that exactly one home resolves: what others may require or provide. */
  readonly own: { readonly field: FieldShape; readonly home: SubgraphDraft }[];
}

interface World {
  readonly random: Random;
  readonly names: FieldNames;
  readonly pool: TypePool;
  readonly drafts: readonly SubgraphDraft[];
  readonly entities: readonly Entity[];
}

/** Draws two to five subgraphs; whether they compose is for composition to say. */
export function drawSubgraphs(random: Random): { name: string; sdl: string }[] {
  const names = fieldNames();
  const drafts = ['alpha', 'beta', 'gamma', 'delta', 'omega'].slice(0, between(random, 2, 5)).map(draftOf);
  const entityNames = Array.from({ length: between(random, 1, 3) }, (_, index) => `Entity${index}`);
  const pool = drawTypePool(random, names, entityNames);
  const entities = entityNames.map((name) => drawEntity(random, name, drafts, pool));
  const world: World = { random, names, pool, drafts, entities };
  for (const entity of entities) placeEntity(world, entity);
  if (happens(random, 0.4)) placeMedium(world);
  for (const entity of entities) {
    for (const home of entity.homes) drawEntityFields(world, entity, home);
  }
  for (const entity of entities) {
    if (happens(random, 0.6)) drawRequires(world, entity);
    if (happens(random, 0.5)) drawProvides(world, entity);
  }
  drafts.forEach((draft) => drawRoots(world, draft));
  return drafts.map((draft) => ({ name: draft.name, sdl: printSubgraph(draft, pool) }));
}

function drawEntity(random: Random, name: string, drafts: readonly SubgraphDraft[], pool: TypePool): Entity {
  const homes = shuffled(random, drafts).slice(0, between(random, Math.min(2, drafts.length), drafts.length));
  const keys: Key[] = ['id', ...KEYS.slice(1).filter(() => happens(random, 0.35))];
  return { name, homes, keys: happens(random, 0.3) ? keys.slice(-1) : keys, implemented: pool.interfaces.filter(() => happens(random, 0.5)).map((found) => found.name), own: [] };
}

function placeEntity({ random, pool }: World, { name, keys, homes, implemented }: Entity): void {
  homes.forEach((home, index) => {
    const some = keys.filter(() => happens(random, 0.5));
    const known = index === 0 || some.length === 0 ? keys : some;
    const interfaces = implemented.length > 0 ? ` implements ${implemented.join(' & ')}` : '';
    declare(home, name, `type ${name}${interfaces} ${known.map((key) => `@key(fields: "${key}")`).join(' ')}`);
    for (const key of known) addKeyFields(home, name, key);
    addInterfaceFields(home, pool, name, implemented);
  });
}

function addKeyFields(home: SubgraphDraft, name: string, key: Key): void {
  if (key === 'id') addField(home, name, 'id', ': ID!');
  if (key === 'code') addField(home, name, 'code', ': Int');
  if (key === 'k1 k2') {
    addField(home, name, 'k1', ': String!');
    addField(home, name, 'k2', ': Int');
  }
  if (key === 'ref { id }') {
    declare(home, 'Ref', 'type Ref @shareable');
    addField(home, 'Ref', 'id', ': ID!');
    addField(home, 'Ref', 'zone', ': String');
    addField(home, name, 'ref', ': Ref!');
  }
}

/** An interface that is an entity, with its implementations in one subgraph and as an object in others. */
function placeMedium(world: World): void {
  const { random, drafts, names, pool } = world;
  const [owner, ...others] = shuffled(random, drafts);
  if (owner === undefined) return;
  declare(owner, 'Medium', 'interface Medium @key(fields: "id")');
  addField(owner, 'Medium', 'id', ': ID!');
  const common = shapeOf(random, names, SCALARS, pool.enums);
  addField(owner, 'Medium', common.name, `${common.args}: ${common.type}`);
  for (const name of ['MediumBook', 'MediumFilm']) {
    declare(owner, name, `type ${name} implements Medium @key(fields: "id")`);
    addField(owner, name, 'id', ': ID!');
    addField(owner, name, common.name, `${common.args}: ${common.type}`);
    addDrawnField(world, owner, name);
  }
  for (const other of others.filter((_, index) => index === 0 || happens(random, 0.3))) {
    declare(other, 'Medium', 'type Medium @interfaceObject @key(fields: "id")');
    addField(other, 'Medium', 'id', ': ID!');
    addDrawnField(world, other, 'Medium');
    addDrawnField(world, other, 'Medium');
  }
}

/** Types that a field of this subgraph can be of; more often than not (`composites`) only those that have fields. */
function basesIn({ random, pool, drafts, entities }: World, draft: SubgraphDraft, composites: number): string[] {
  const homes = entities.filter(({ homes: known, keys }) => known.includes(draft) || keys.includes('id')).map(({ name }) => name);
  const interfaces = pool.interfaces.filter(({ name }) => [...draft.types.values()].some(({ head }) => new RegExp(`implements.*\\b${name}\\b`).test(head)));
  const unions = pool.unions.filter((union) => membersIn(draft, union).length > 0);
  const medium = drafts.some(({ types }) => types.has('Medium')) && draft.types.has('Medium') ? ['Medium', 'Medium'] : [];
  const values = pool.values.filter(({ inaccessible }) => !inaccessible || happens(random, 0.3)).map(({ name }) => name);
  const composite = [...homes, ...homes, ...values, ...interfaces.map(({ name }) => name), ...unions.map(({ name }) => name), ...medium];
  return happens(random, composites) && composite.length > 0 ? composite : [...SCALARS, ...pool.enums];
}

function addDrawnField(world: World, draft: SubgraphDraft, type: string): FieldShape {
  const isRoot = type === 'Query' || type === 'Mutation';
  const { random, names, pool } = world;
  const field = shapeOf(random, names, basesIn(world, draft, isRoot ? 0.9 : 0.6), pool.enums);
  const inaccessible = field.base === 'Hidden' || happens(random, 0.05);
  ensureType(draft, pool, field.base);
  addField(draft, type, field.name, `${field.args}: ${field.type}${inaccessible ? ' @inaccessible' : ''}`);
  return field;
}

function drawEntityFields(world: World, entity: Entity, home: SubgraphDraft): void {
  const { random, names, pool } = world;
  const count = between(random, 1, 3);
  for (let index = 0; index < count; index += 1) {
    const others = entity.homes.filter((candidate) => candidate !== home);
    const other = others.length > 0 ? oneOf(random, others) : undefined;
    const kind = random();
    if (other !== undefined && kind < 0.3) {
      const leaves = [...SCALARS, ...pool.enums, ...pool.values.filter(({ inaccessible }) => !inaccessible).map(({ name }) => name)];
      const field = shapeOf(random, names, leaves, pool.enums);
      const override = kind < 0.08;
      for (const draft of [home, other]) {
        ensureType(draft, pool, field.base);
        const directive = override ? (draft === home ? ` @override(from: "${other.name}")` : '') : ' @shareable';
        addField(draft, entity.name, field.name, `${field.args}: ${field.type}${directive}`);
      }
    } else {
      const field = addDrawnField(world, home, entity.name);
      if (field.args === '' && field.base !== 'Hidden') entity.own.push({ field, home });
    }
  }
}

/** What a selection of a required field asks for: leaves as they are, of value types one leaf. */
function requiredSelection(pool: TypePool, { name, base }: FieldShape): string | undefined {
  if ([...SCALARS, ...pool.enums].includes(base)) return name;
  const leaf = pool.values.find((value) => value.name === base)?.fields.find((field) => field.args === '' && [...SCALARS, ...pool.enums].includes(field.base));
  return leaf === undefined ? undefined : `${name} { ${leaf.name} }`;
}

function drawRequires({ random, names, pool }: World, { name, homes, own }: Entity): void {
  const candidates = own.filter(({ field }) => requiredSelection(pool, field) !== undefined);
  if (candidates.length === 0) return;
  const { field, home } = oneOf(random, candidates);
  const others = homes.filter((candidate) => candidate !== home);
  if (others.length === 0) return;
  const draft = oneOf(random, others);
  ensureType(draft, pool, field.base);
  addField(draft, name, field.name, `: ${field.type} @external`);
  const made = shapeOf(random, names, SCALARS, pool.enums);
  addField(draft, name, made.name, `${made.args}: ${made.type} @requires(fields: "${requiredSelection(pool, field)}")`);
}

function drawProvides({ random, names, drafts, entities, pool }: World, { name, homes, own }: Entity): void {
  const candidates = own.filter(({ field }) => [...SCALARS, ...pool.enums].includes(field.base));
  if (candidates.length === 0) return;
  const { field, home } = oneOf(random, candidates);
  const others = homes.filter((candidate) => candidate !== home && candidate.types.get(name)?.fields.has(field.name) === false);
  if (others.length === 0) return;
  const draft = oneOf(random, others);
  const owners = entities.filter((entity) => entity.homes.includes(draft)).map((entity) => entity.name);
  const fields = home.types.get(name)?.fields;
  const line = fields?.get(field.name);
  if (line === undefined || drafts.length < 2) return;
  fields?.set(field.name, `${line} @shareable`);
  addField(draft, name, field.name, `: ${field.type} @external`);
  const list = happens(random, 0.5) ? `[${name}]` : name;
  addField(draft, oneOf(random, owners), names(), `: ${list} @provides(fields: "${field.name}")`);
}

function drawRoots(world: World, draft: SubgraphDraft): void {
  const { random } = world;
  for (const [type, most] of [['Query', 3], ['Mutation', 2]] as const) {
    if (type === 'Mutation' && happens(random, 0.5)) continue;
    declare(draft, type, `type ${type}`);
    const count = between(random, 1, most);
    for (let index = 0; index < count; index += 1) addDrawnField(world, draft, type);
  }
}
