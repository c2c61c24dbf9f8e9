/**
 * An orchard: two subgraphs of one process, with whatever a request can have to do with in its schema, and answers that depend on their arguments
 * alone. Neither ever fails: what a gateway before them answers wrong is the gateway's own.
 */
const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])';

export const ORCHARD = {
  trees: `${LINK}
    scalar Day
    enum Unit { METRE FOOT }
    enum Kind { APPLE PEAR CHERRY }
    interface Grown { id: ID! name: String! }
    type Tree implements Grown @key(fields: "id") {
      id: ID! name: String! kind: Kind! height(unit: Unit = METRE): Float planted: Day parent: Tree
      fruits(first: Int = 2): [Fruit!]! neighbours(first: Int = 2): [Tree] notes: [[String]]
    }
    type Fruit implements Grown @key(fields: "id") { id: ID! name: String! tree: Tree! grams: Int }
    union Found = Tree | Fruit
    input Range { from: Float to: Float }
    input Filter { and: [Filter!] not: Filter kind: [Kind!] height: Range name: String planted: Day }
    input NewTree { name: String! kind: Kind! = APPLE height: Float tags: [[String!]!] }
    type Query {
      tree(id: ID!): Tree
      trees(filter: Filter, first: Int = 3, tags: [[String!]]): [Tree!]!
      search(text: String!, first: Int = 2): [Found!]!
      grown(id: ID!): Grown
      echo(text: String, number: Int, ratio: Float, flag: Boolean, id: ID, day: Day): String
    }
    type Mutation { plant(tree: NewTree!): Tree! fell(id: ID!): Boolean }`,
  pickers: `${LINK}
    type Tree @key(fields: "id") { id: ID! picker: Picker! weight(since: Int): Float }
    type Fruit @key(fields: "id") { id: ID! }
    type Picker @key(fields: "id") { id: ID! name: String! trees(first: Int = 2): [Tree!]! }
    type Query { picker(id: ID!): Picker pickers: [Picker!]! }
    type Subscription { ripened(treeId: ID): Fruit! ticked(every: Int = 20, times: Int = 3): Int! }`,
} as const;
