import type { Guard } from './guard.ts';

const BOUNDS = 'gateway/src/limits/document-bounds.ts';
const RULES = 'gateway/src/limits/validation-rules.ts';
const RATES = 'gateway/src/limits/rate-limits.ts';
const VALIDATION = 'gateway/src/operation-validation.ts';
const OPERATIONS = 'gateway/src/operations.ts';
const FEDERATION = 'gateway/src/federation.ts';

const BOUNDS_SPEC = 'gateway/src/limits/document-bounds.spec.ts';
const RATES_SPEC = 'gateway/src/limits/rate-limits.spec.ts';
const LIMITS_TEST = 'gateway/test/limits.test.ts';
const HOSTILE_TEST = 'gateway/test/hostile.test.ts';
const RELOAD_TEST = 'gateway/test/reload.test.ts';

/** What bounds an operation before it runs, and the schema that it runs under. */
export const GATEWAY_LIMIT_GUARDS: readonly Guard[] = [
  {
    name: 'gateway: documents are measured before they are validated',
    edits: [{ file: VALIDATION, find: "if (violation !== null) return [refusal(violation, 'GRAPHQL_VALIDATION_FAILED')];", replace: '' }],
    test: HOSTILE_TEST,
    named: 'over HTTP is refused soon: a bomb of fragments',
  },
  {
    name: 'gateway: tokens are counted',
    edits: [{ file: BOUNDS, find: 'maxTokens === 0 ? {} : { maxTokens }', replace: '{}' }],
    test: BOUNDS_SPEC,
    named: 'is refused with 1,001 tokens',
  },
  {
    name: 'gateway: depth is bounded',
    edits: [{ file: BOUNDS, find: 'if (maxDepth !== 0) within(size.depth', replace: 'if (maxDepth < 0) within(size.depth' }],
    test: BOUNDS_SPEC,
    named: 'is refused with 11 levels',
  },
  {
    name: 'gateway: depth is bounded, in fragments too',
    edits: [{ file: BOUNDS, find: 'size.depth = Math.max(size.depth, of.depth);', replace: '' }],
    test: BOUNDS_SPEC,
    named: '11 levels, in fragments',
  },
  {
    name: 'gateway: aliases are bounded wherever their fragment is spread',
    edits: [{ file: BOUNDS, find: 'Math.min(size.aliases + of.aliases, SATURATED)', replace: 'Math.max(size.aliases, of.aliases)' }],
    test: BOUNDS_SPEC,
    named: 'A document is measured as if its fragments were written out',
  },
  {
    name: 'gateway: directives are bounded',
    edits: [{ file: BOUNDS, find: 'within(walk.directives, boundOf.directives, node);', replace: '' }],
    test: BOUNDS_SPEC,
    named: '251 directives',
  },
  {
    name: 'gateway: variables are bounded',
    edits: [{ file: OPERATIONS, find: 'if (violation !== null) throw violation;', replace: '' }],
    test: HOSTILE_TEST,
    named: 'over HTTP is refused soon: one with a huge list of variables',
  },
  {
    name: 'gateway: introspection is refused when it is off',
    edits: [{ file: VALIDATION, find: '...(introspection ? [] : [NoSchemaIntrospectionCustomRule]),', replace: '' }],
    test: LIMITS_TEST,
    named: 'that is off is refused',
  },
  {
    name: 'gateway: guesses tell nothing of the schema when introspection is off',
    edits: [{ file: VALIDATION, find: 'hideSuggestions: !introspection', replace: 'hideSuggestions: false' }],
    test: LIMITS_TEST,
    named: 'that is off is refused',
  },
  {
    name: 'gateway: operations of a kind that the schema has not are refused',
    edits: [{ file: VALIDATION, find: '    knownKind,\n', replace: '' }],
    test: 'gateway/test/http-protocol.test.ts',
    named: 'refuses other operations with a 400',
  },
  {
    name: 'gateway: a single root field stands in an operation once',
    edits: [{ file: RULES, find: 'else total += countInFragment(selection.name.value, count);', replace: '' }],
    test: 'gateway/test/sign-in.test.ts',
    named: 'one in a fragment is refused',
  },
  {
    name: 'gateway: a subscription does not begin without a field',
    edits: [{ file: RULES, find: 'if (!rootIsConditional(definition.selectionSet, context, new Set())) continue;', replace: 'continue;' }],
    test: 'gateway/src/limits/validation-rules.spec.ts',
    named: 'is refused with @skip',
  },
  {
    name: 'gateway: an operation that costs too much does not run',
    edits: [{ file: OPERATIONS, find: 'if (cost > maxCost) throw costError(cost, maxCost);', replace: '' }],
    test: LIMITS_TEST,
    named: 'The cost of an operation is bounded',
  },
  {
    name: 'gateway: operations of one user are counted',
    edits: [{ file: RATES, find: 'userId === undefined ? undefined : users;', replace: 'undefined as typeof users;' }],
    test: LIMITS_TEST,
    named: 'refuses a user’s operations beyond it',
  },
  {
    name: 'gateway: operations of one address are counted',
    edits: [{ file: RATES, find: 'address === undefined ? undefined : addresses;', replace: 'undefined as typeof addresses;' }],
    test: LIMITS_TEST,
    named: 'refuses an address’s operations beyond it',
  },
  {
    name: 'gateway: one network of IPv6 is one address',
    edits: [{ file: RATES, find: 'network = networkOf(address);', replace: 'network = address;' }],
    test: RATES_SPEC,
    named: 'takes the 64 bits of an IPv6 network',
  },
  {
    name: 'gateway: a flood of addresses does not free one that is limited',
    edits: [
      { file: RATES, find: 'let least = Infinity;', replace: 'let least = -Infinity;' },
      { file: RATES, find: '} else if (time < least) {', replace: '} else if (time > least) {' },
    ],
    test: RATES_SPEC,
    named: 'does not free an address',
  },
  {
    name: 'gateway: who is limited is told when to try again',
    edits: [{ file: OPERATIONS, find: "{ 'retry-after': String(wait) }", replace: '{}' }],
    test: LIMITS_TEST,
    named: 'over HTTP with Retry-After',
  },
  {
    name: 'gateway: what is not listed is not planned',
    edits: [{ file: 'gateway/src/operation-cache.ts', find: 'admit(query, document);', replace: '' }],
    test: LIMITS_TEST,
    named: 'lets these run and nothing else',
  },
  {
    name: 'gateway: what is listed no longer does not run',
    edits: [{ file: OPERATIONS, find: '    checkListed(safelist, found.query, ready.document);\n', replace: '' }],
    test: LIMITS_TEST,
    named: 'is loaded again when its file changes',
  },
  {
    name: 'gateway: an id that is not listed names nothing',
    edits: [{ file: 'gateway/src/persisted-queries.ts', find: "if (safelist.mode === 'enforce') throw safelist.unknownId(id);", replace: '' }],
    test: LIMITS_TEST,
    named: 'lets these run and nothing else',
  },
  {
    name: 'gateway: a persisted query is kept when it is known to be valid',
    edits: [
      { file: OPERATIONS, find: '    found.remember?.();\n', replace: '' },
      { file: OPERATIONS, find: '    const supergraph = federation.current();\n', replace: '    found.remember?.();\n    const supergraph = federation.current();\n' },
    ],
    test: 'gateway/test/http-protocol.test.ts',
    named: 'that is not valid is not kept',
  },
  {
    name: 'gateway: what is remembered of operations is bounded',
    edits: [{ file: 'gateway/src/bounded-cache.ts', find: 'while (entries.size > max || keyLengths > keyLengthsMax) remove', replace: 'while (entries.size < 0) remove' }],
    test: 'gateway/test/bounded-cache.test.ts',
    named: 'keeps as many entries as it may',
  },
  {
    name: 'gateway: what was compiled under another supergraph does not run',
    edits: [{ file: 'gateway/src/operation-cache.ts', find: '        ready.clear();\n', replace: '' }],
    test: RELOAD_TEST,
    named: 'is loaded, also when it was put there by a rename',
  },
  {
    name: 'gateway: a bad supergraph leaves the one before in force',
    edits: [{ file: FEDERATION, find: "    metrics.supergraphReloads.inc({ outcome: 'refused' });", replace: '    throw error;' }],
    test: RELOAD_TEST,
    named: 'that is no GraphQL is refused',
  },
  {
    name: 'gateway: subgraphs of a bad supergraph do not come into use',
    edits: [
      { file: FEDERATION, find: '(endpoints) => (loading = endpoints)', replace: '(endpoints) => clients.use((loading = endpoints))' },
    ],
    test: RELOAD_TEST,
    named: 'that is a broken one of fewer subgraphs is refused',
  },
];
