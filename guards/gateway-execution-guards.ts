import type { Guard } from './guard.ts';

const PROJECTION = 'gateway/src/execution/projection.ts';
const RECEIVED = 'gateway/src/execution/received-answers.ts';
const DISPATCH = 'gateway/src/execution/dispatch.ts';
const JOINED = 'gateway/src/execution/joined-fetches.ts';
const BATCH = 'gateway/src/execution/entity-batch.ts';
const SAFE_DOCUMENT = 'gateway/src/execution/safe-document.ts';

const ANSWERS_TEST = 'gateway/test/execution/answers.test.ts';
const ERRORS_TEST = 'gateway/test/execution/errors.test.ts';
const FETCHES_TEST = 'gateway/test/execution/fetches.test.ts';
const JOINED_TEST = 'gateway/test/execution/joined-fetches.test.ts';

/** What keeps answers right whatever subgraphs say, and fetches to what is needed. */
export const GATEWAY_EXECUTION_GUARDS: readonly Guard[] = [
  {
    name: 'gateway: names that are not GraphQL names never become code',
    edits: [{ file: 'gateway/src/execution/generated-code.ts', find: 'if (!NAME.test(name)) throw', replace: "if (name === '') throw" }],
    test: 'gateway/test/execution/generated-code.test.ts',
    named: 'never becomes code',
  },
  {
    name: 'gateway: an answer changes no prototype',
    edits: [{ file: 'gateway/src/execution/merge.ts', find: 'Object.hasOwn(target, name) ? target[name] : null', replace: 'target[name]' }],
    test: ANSWERS_TEST,
    named: 'is not poisoned by members that a subgraph adds',
  },
  {
    name: 'gateway: a variable of the client is not taken for representations',
    edits: [{ file: SAFE_DOCUMENT, find: 'RESERVED_VARIABLE.test(name.value) &&', replace: "name.value === '' &&" }],
    test: FETCHES_TEST,
    named: 'keep a variable of the client apart from their own',
  },
  {
    name: 'gateway: an alias is not taken for the key of an entity',
    edits: [{ file: SAFE_DOCUMENT, find: "return name === '__typename' || fields.has(name);", replace: "return name === '__typename';" }],
    test: ANSWERS_TEST,
    named: 'keeps names that every object has',
  },
  {
    name: 'gateway: null goes up to what may be null',
    edits: [{ file: PROJECTION, find: 'const orReturn = isNonNull ? [`if (${variable} === undefined) return;`] : [];', replace: 'const orReturn: string[] = [];' }],
    test: ANSWERS_TEST,
    named: 'takes a null up to what may be null',
  },
  {
    name: 'gateway: values of enums that clients may not see are not told',
    edits: [{ file: PROJECTION, find: 'return `${constants.add(enumValues(type.getValues()))}.has(${variable})`;', replace: 'return `typeof ${variable} === "string"`;' }],
    test: ANSWERS_TEST,
    named: 'null with an error for values of another type',
  },
  {
    name: 'gateway: objects of types that clients may not see are not told',
    edits: [{ file: PROJECTION, find: 'refused: `refuseType(c, ${positionOf(writer, place)})`', replace: 'refused: "({ __typename: o.__typename })"' }],
    test: ANSWERS_TEST,
    named: 'hides types that clients may not see',
  },
  {
    name: 'gateway: a subgraph that is down is told at the fields that it was to bring',
    edits: [{ file: RECEIVED, find: '    tellEverywhere(run, fetch, batch, failureError(answer.code));\n    return;', replace: '    return;' }],
    test: ERRORS_TEST,
    named: 'a subgraph that is down costs its fields',
  },
  {
    name: 'gateway: an answer that can not be used is told',
    edits: [{ file: RECEIVED, find: 'else if (!isUsable) tellEverywhere', replace: 'else if (!isUsable && errors.length < 0) tellEverywhere' }],
    test: ERRORS_TEST,
    named: 'with too few entities and without errors',
  },
  {
    name: 'gateway: entities are told apart by an answer of as many',
    edits: [{ file: RECEIVED, find: ' && entities.length === representations.length', replace: '' }],
    test: ERRORS_TEST,
    named: 'with too few entities and without errors',
  },
  {
    name: 'gateway: a field has one error',
    edits: [{ file: 'gateway/src/execution/settled-result.ts', find: 'isNull && explained(path) ? []', replace: 'isNull && explained(path) && path.length === 0 ? []' }],
    test: ERRORS_TEST,
    named: 'a null that a failure explains is told once',
  },
  {
    name: 'gateway: a failure is told a hundred times at most',
    edits: [{ file: RECEIVED, find: 'const ERRORS_OF_A_FETCH_MAX = 100;', replace: 'const ERRORS_OF_A_FETCH_MAX = 100_000;' }],
    test: ERRORS_TEST,
    named: 'is told a hundred times at most',
  },
  {
    name: 'gateway: an entity is asked for once',
    edits: [{ file: BATCH, find: 'if (number === undefined || (likeness', replace: 'if (number !== -1 || (likeness' }],
    test: FETCHES_TEST,
    named: 'represent an entity once',
  },
  {
    name: 'gateway: entities with one key and other required fields are asked for apart',
    edits: [{ file: BATCH, find: '!likeness.isSame(entity, firsts[number] as Tree)', replace: 'number < 0' }],
    test: FETCHES_TEST,
    named: 'represent an entity for each of the required values',
  },
  {
    name: 'gateway: an error of an entity is told at each of its places',
    edits: [{ file: RECEIVED, find: 'filter((_, index) => numbers?.[index] === number)', replace: 'filter((_, index) => index === number)' }],
    test: ERRORS_TEST,
    named: 'is told at each of its places',
  },
  {
    name: 'gateway: joined fetches without data are sent one by one',
    edits: [{ file: DISPATCH, find: 'if (!isFailure(answer) && !isTree(answer.data)) {', replace: 'if (joined.refusals < 0 && !isFailure(answer)) {' }],
    test: JOINED_TEST,
    named: 'when a subgraph gives no data for them together',
  },
  {
    name: 'gateway: a subgraph that refuses joined fetches is not asked for them without end',
    edits: [{ file: JOINED, find: 'return refusals < REFUSALS_MAX;', replace: 'return refusals >= 0;' }],
    test: JOINED_TEST,
    named: 'are not sent together a fourth time',
  },
  {
    name: 'gateway: an error of one of joined fetches is not told at the others',
    edits: [{ file: JOINED, find: "return path[0] === alias ? { ...error, path: ['_entities', ...path.slice(1)] } : [];", replace: "return { ...error, path: ['_entities', ...path.slice(1)] };" }],
    test: JOINED_TEST,
    named: 'get their own errors',
  },
  {
    name: 'gateway: variables that decide choose what is answered',
    edits: [{ file: 'gateway/src/execution/shaping.ts', find: "=== true ? '1' : '0'", replace: "=== true ? '1' : '1'" }],
    test: ANSWERS_TEST,
    named: 'whatever others have asked of the same operation',
  },
];
