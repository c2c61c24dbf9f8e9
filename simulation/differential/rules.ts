/**
 * Why Apollo's executor and ours may answer differently, each with what decides. Sections are those of the GraphQL
 * specification of October 2021; where it is silent, what Apollo Federation's own documentation asks.
 */
export const RULES = {
  'wrong kind': '6.4.3 Value Completion: "If result is not a collection of values, raise a field error", and likewise for objects: the field is null with an error; Apollo refuses the whole answer',
  'wrong kind on the way': '6.4.4 Handling Field Errors: a field with an error is as one that returned null, and nothing is fetched below it; Apollo refuses the whole answer',
  'wrong kind required': '6.4.4 Handling Field Errors: an object that has the wrong kind is as null; Apollo throws, or takes it for one that lacks what is required',
  'wrong kind of entity': '6.4.4 Handling Field Errors: an entity that is no object is as null; Apollo merges its characters or items',
  scalar: '3.5 Scalars, Result Coercion: what cannot be coerced must raise a field error, such as an Int beyond 32 bits; Apollo lets it through',
  'enum value': '3.9 Enums, Result Coercion: "GraphQL services must return one of the defined set of possible values. If a reasonable coercion is not possible they must raise a field error"',
  'id as a number': '3.5.5 ID, Result Coercion: "GraphQL is agnostic to ID format, and serializes to string"; Apollo lets numbers through',
  'abstract type without a name': '6.4.3 Value Completion, ResolveAbstractType: without the object’s type fragments on types do not apply and its name cannot be told; Apollo takes the type of the fragment around for it',
  'fragments on what has no name': '6.3.2 Field Collection, DoesFragmentTypeApply: it is the object’s type that decides, which is known without a name where the field has an object type; Apollo takes the type of the fragment around for it',
  'type that the field cannot have': '6.4.3 Value Completion, ResolveAbstractType: the type must be a possible one of the field’s; Apollo answers its fields, or refuses the whole answer',
  'list of lists required': 'Federation, @requires: the whole field is required; Apollo’s representations lose lists in lists',
  'list of lists merged': '6.4.3 Value Completion: each item of a list in a list has all of its fields; Apollo keeps only those of the fetch that came last',
  'subgraphs disagree': 'Federation, @shareable: each subgraph answers a field alike; where one gives null and another a value, the value stays, where Apollo takes what came last',
  'name of the interface object': 'Federation, @interfaceObject: the entity’s own type is told by the subgraph that defines its implementations',
  'entities that were not sent are counted': '7.1.2 Errors: an error that can be associated to a field must tell the path of the response field which experienced it; Apollo counts entities that it had not asked for',
  'fetch failed': '7.1.2 Errors: an error that can be associated to a field must tell the path of the response field which experienced it; the fields that a fetch was to bring are named, Apollo names none',
  'error without a place': '7.1.2 Errors: an error that can be associated to a field must tell the path of the response field which experienced it; an error that a subgraph told of a whole fetch is told of the fields that it was to bring',
  'violations beside other errors': '6.4.4 Handling Field Errors: an error must be added to the list of errors; Apollo leaves out what data violated as soon as there is any other error',
  'one error for a field': '6.4.4 Handling Field Errors: "If a field returns null because of a field error which has already been added to the errors list in the response, the errors list must not be further affected"',
  'fields given up': '6.4.4 Handling Field Errors: once a null goes up to an object or list, the other fields in it may be cancelled; what is wrong in them need not be told',
  'odd alias': '2.7 Field Alias: a response name may be any name, also that of a key that the plan needs, which Apollo’s plans mix up',
  'order of fetches': '6.3.1 Normal and Serial Execution: the fields of a query may be executed in any order, and with it what fetches at the same time find',
  'very many errors': 'no passage: the gateway tells at most a hundred errors of a fetch, a limit of its own, which the specification does not provide for',
  'order of fields': '7.2.2 Serialized Map Ordering, with 6.3.2 Field Collection: fields are in the order in which they are collected; Apollo merges fragments first',
} as const;

export type Rule = keyof typeof RULES;

/** Those for which Apollo's executor may refuse an answer as a whole. */
export const REFUSING: ReadonlySet<string> = new Set<Rule>(['wrong kind', 'wrong kind on the way', 'wrong kind required', 'wrong kind of entity', 'type that the field cannot have', 'abstract type without a name', 'subgraphs disagree', 'odd alias']);
