import {
  getNullableType,
  isEnumType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  valueFromASTUntyped,
  isAbstractType,
  type FieldNode,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql';
import { between, oneOf } from '../../chaos/random.ts';
import type { SubgraphAnswer, SubgraphError } from '../../gateway/src/operation-context.ts';
import { drawEntity, entityOf, enumValue, faultyValue, keyValue, scalarValue } from './answer-values.ts';
import { chanceOf, happens, hashOf } from './chance.ts';
import { TYPENAME_FAULTS, type FaultProfile, type FieldFault, type Outage, type TypenameFault } from './faults.ts';
import { collectFields, parseOnce, selectionSetsOf, withDefaults, type Selecting } from './fetch-documents.ts';

export interface AskedFetch {
  readonly subgraph: string;
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Answers fetches: what it says about a field of an object depends on nothing but these and the seed. */
export interface Answers {
  /** Undefined when the subgraph doesn't answer. */
  answer(fetch: AskedFetch): SubgraphAnswer | undefined;
  /** What went wrong so far, by the name of the fault. */
  readonly faults: Map<string, number>;
}

type Path = readonly (string | number)[];

interface Answering extends Selecting {
  readonly world: AnswerWorld;
  readonly profile: FaultProfile;
  readonly subgraph: string;
  readonly errors: SubgraphError[];
  readonly count: (fault: string) => void;
}

export interface AnswerWorld {
  readonly subgraphs: ReadonlyMap<string, GraphQLSchema>;
  /** What clients see. */
  readonly apiSchema: GraphQLSchema;
}

/** A null where there must be none, on its way to a parent that may be null. */
const NULL_ABOVE: unique symbol = Symbol('null above');

export function createAnswers(world: AnswerWorld, profile: FaultProfile): Answers {
  const faults = new Map<string, number>();
  const count = (fault: string): void => void faults.set(fault, (faults.get(fault) ?? 0) + 1);
  return {
    faults,
    answer: ({ subgraph, query, variables }) => {
      const schema = world.subgraphs.get(subgraph);
      if (schema === undefined) throw new Error(`No subgraph ${subgraph}`);
      const document = parseOnce(query);
      const answering: Answering = { ...document, world, schema, profile, subgraph, errors: [], count, variables: withDefaults(document.operation, variables) };
      return answerOperation(answering);
    },
  };
}

function answerOperation(answering: Answering): SubgraphAnswer | undefined {
  const { schema, operation, errors, profile, subgraph, count } = answering;
  const root = schema.getRootType(operation.operation);
  if (root === undefined || root === null) throw new Error(`${subgraph} has no ${operation.operation}`);
  const fields = collectFields(answering, root, [operation.selectionSet]);
  const ofEntities = [...fields.values()].some(([field]) => field?.name.value === '_entities');
  const outage = profile.outageOf(subgraph, ofEntities);
  if (outage !== undefined) count(`outage: ${outage}`);
  if (outage === 'no answer') return undefined;
  if (outage === 'null data') return { data: null };
  if (outage === 'data left out') return { errors: [{ message: `${subgraph} cannot` }] };
  if (outage === 'null data with an error') return { data: null, errors: [{ message: `${subgraph} fails` }] };
  if (outage === 'error beside') errors.push({ message: `${subgraph} complains`, extensions: { code: 'CONFLICT' } });
  const data = Object.create(null) as Record<string, unknown>;
  for (const [name, group] of fields) {
    const [field] = group;
    if (field?.name.value === '_entities') answerEntities(answering, { name, group, data, outage });
    else if (!answerField(answering, { type: root, identity: 'root', path: [], data }, name, group)) return { data: null, errors };
  }
  return errors.length === 0 ? { data } : { data, errors };
}

function answerEntities(answering: Answering, { name, group, data, outage }: { name: string; group: readonly FieldNode[]; data: Record<string, unknown>; outage: Outage | undefined }): void {
  const representations = argumentsOf(answering, group)['representations'] as Record<string, unknown>[];
  if (outage === 'no entities') return;
  const entities = representations.map((representation, index) => answerEntity(answering, representation, group, [name, index]));
  if (outage === 'too few entities') entities.pop();
  if (outage === 'too many entities') entities.push(null);
  data[name] = entities;
}

function answerEntity(answering: Answering, representation: Readonly<Record<string, unknown>>, group: readonly FieldNode[], path: Path): unknown {
  const { schema, errors, profile, subgraph, count } = answering;
  const known = schema.getType(String(representation['__typename']));
  const identity = entityOf(representation);
  // An interface's implementations are for the subgraph to tell apart, by the key.
  const type = identity !== undefined && isAbstractType(known) ? runtimeType(answering, known, identity) : known;
  if (!isObjectType(type) || identity === undefined) {
    // Plans may ask for objects of which they know no key, and keys may be wrong.
    count(identity === undefined ? 'entity: asked for without a key' : 'entity: of no known type');
    errors.push({ message: `${subgraph} cannot find a ${String(representation['__typename'])}`, path });
    return null;
  }
  const fault = faultAt(answering, `${identity}/${type.name}/entity`);
  if (fault !== undefined && fault !== 'missing') {
    count(`entity: ${fault}`);
    if (fault.endsWith('an error')) errors.push({ message: `${subgraph} fails at an entity`, path });
    if (fault !== 'value with an error') return faultyValue(fault, chanceOf(profile.seed, identity));
  }
  const value = answerObject(answering, type, identity, { sets: selectionSetsOf(group), path });
  return value === NULL_ABOVE ? null : value;
}

interface Place {
  readonly type: GraphQLObjectType;
  readonly identity: string;
  readonly path: Path;
  readonly data: Record<string, unknown>;
}

/** Puts a field's value into its object. @returns false when the object must be null for it. */
function answerField(answering: Answering, { type, identity, path, data }: Place, name: string, group: readonly FieldNode[]): boolean {
  const fieldName = group[0]?.name.value ?? '';
  if (fieldName === '__typename') {
    const typename = typenameOf(answering, type, identity);
    if (typename !== undefined) data[name] = typename;
    return true;
  }
  const field = type.getFields()[fieldName];
  if (field === undefined) throw new Error(`${answering.subgraph} has no ${type.name}.${fieldName}`);
  const args = JSON.stringify(argumentsOf(answering, group));
  const value = answerValue(answering, field.type, {
    about: `${identity}.${fieldName}${args === '{}' ? '' : args}`,
    identity,
    fieldName,
    group,
    path: [...path, name],
  });
  if (value === NULL_ABOVE) return false;
  if (value !== undefined) data[name] = value;
  return true;
}

interface ValuePlace {
  /** The field with its arguments and its object, and the place in a list. */
  readonly about: string;
  /** The object that the field is of. */
  readonly identity: string;
  readonly fieldName: string;
  readonly group: readonly FieldNode[];
  readonly path: Path;
}

/** Completes as the specification asks in a graceful answer: a null that must not be goes up. */
function answerValue(answering: Answering, type: GraphQLOutputType, place: ValuePlace): unknown {
  const { profile, errors, subgraph, count } = answering;
  const fault = faultAt(answering, place.about);
  const graceful = profile.manner !== 'hostile';
  let value: unknown;
  if (fault !== undefined && !(graceful && fault === 'null' && isNonNullType(type))) {
    count(`${isNonNullType(type) && fault.startsWith('null') ? 'non-null ' : ''}field: ${fault}`);
    if (fault.endsWith('an error')) errors.push({ message: `${subgraph} fails at ${place.fieldName}`, path: place.path });
    if (fault === 'missing') return undefined;
    value = fault === 'value with an error' ? answerSound(answering, getNullableType(type), place) : faultyValue(fault, chanceOf(profile.seed, 'faulty', KEY_FIELD.test(place.about) ? '' : subgraph, place.about));
  } else value = answerSound(answering, getNullableType(type), place);
  if (value === NULL_ABOVE || (graceful && value === null)) return isNonNullType(type) ? NULL_ABOVE : null;
  return value;
}

function answerSound(answering: Answering, type: GraphQLOutputType, place: ValuePlace): unknown {
  const { profile, world } = answering;
  const chance = chanceOf(profile.seed, 'value', place.about);
  if (isListType(type)) {
    const items = Array.from({ length: between(chance, 0, 3) }, (_, index) => answerValue(answering, type.ofType, { ...place, about: `${place.about}[${index}]`, path: [...place.path, index] }));
    return items.includes(NULL_ABOVE) ? NULL_ABOVE : items.map((item) => (item === undefined ? null : item));
  }
  if (isLeafType(type)) {
    const known = keyValue(place.identity, place.fieldName);
    if (known !== undefined) return known;
    if (!isEnumType(type)) return scalarValue(chance, type.name);
    const visible = world.apiSchema.getType(type.name);
    const names = isEnumType(visible) ? visible.getValues().map(({ name }) => name) : [];
    return enumValue(chance, type, new Set(happens(chance, profile.fieldRate) ? [] : names));
  }
  // An entity is the same one in every subgraph, and so is what of it makes a key.
  const entity = place.fieldName === 'ref' ? place.identity : drawEntity(chance);
  const runtime = isAbstractType(type) ? runtimeType(answering, type, entity) : (type as GraphQLObjectType);
  const identity = isEntityName(runtime.name) || place.fieldName === 'ref' ? entity : place.about;
  return answerObject(answering, runtime, identity, { sets: selectionSetsOf(place.group), path: place.path });
}

function answerObject(answering: Answering, type: GraphQLObjectType, identity: string, { sets, path }: { sets: readonly SelectionSetNode[]; path: Path }): unknown {
  const data = Object.create(null) as Record<string, unknown>;
  let whole = true;
  for (const [name, group] of collectFields(answering, type, sets)) {
    if (!answerField(answering, { type, identity, path, data }, name, group)) whole = false;
  }
  return whole ? data : NULL_ABOVE;
}

function isEntityName(name: string): boolean {
  return /^(Entity|Medium)/.test(name);
}

/** The implementation that draws highest, so that subgraphs that know different ones agree where they can. */
function runtimeType({ schema, world, profile }: Answering, type: Parameters<GraphQLSchema['getPossibleTypes']>[0], identity: string): GraphQLObjectType {
  const visible = schema.getPossibleTypes(type).filter(({ name }) => profile.manner === 'hostile' || world.apiSchema.getType(name) !== undefined);
  const ranked = (visible.length > 0 ? visible : schema.getPossibleTypes(type)).map((candidate) => ({ candidate, rank: hashOf(`${profile.seed} ${identity} ${candidate.name}`) }));
  const best = ranked.sort((one, other) => other.rank - one.rank)[0]?.candidate;
  if (best === undefined) throw new Error(`${type.name} has no implementation`);
  return best;
}

function typenameOf({ profile, schema, subgraph, count }: Answering, type: GraphQLObjectType, identity: string): unknown {
  const chance = chanceOf(profile.seed, 'typename', subgraph, identity);
  if (profile.typenameRate === 0 || !happens(chance, profile.typenameRate)) return type.name;
  const fault: TypenameFault = oneOf(chance, TYPENAME_FAULTS);
  count(`typename: ${fault}`);
  const others = Object.values(schema.getTypeMap()).filter((candidate) => isObjectType(candidate) && !candidate.name.startsWith('_'));
  const given: Record<TypenameFault, () => unknown> = {
    'unknown type': () => 'Nowhere',
    'other type': () => oneOf(chance, others).name,
    'scalar type': () => 'String',
    'number as type': () => 5,
    'no type': () => undefined,
  };
  return given[fault]();
}

/** What makes a key is the same in every subgraph, right or wrong: which one is believed is nobody's promise. */
const KEY_FIELD = /^e\d+\.(id|k1|k2|code|ref)$/;

function faultAt({ profile, subgraph }: Answering, about: string): FieldFault | undefined {
  if (profile.fieldRate === 0) return undefined;
  const chance = chanceOf(profile.seed, 'fault', KEY_FIELD.test(about) ? '' : subgraph, about);
  const fault = happens(chance, profile.fieldRate) ? oneOf(chance, profile.fieldFaults) : undefined;
  // Another number may be the key of another entity.
  return fault === 'number' && KEY_FIELD.test(about) ? 'fraction' : fault;
}

function argumentsOf({ variables }: Answering, group: readonly FieldNode[]): Record<string, unknown> {
  return Object.fromEntries((group[0]?.arguments ?? []).map(({ name, value }) => [name.value, valueFromASTUntyped(value, { ...variables })]));
}
