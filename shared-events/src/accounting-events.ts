import Type, { type Static } from 'typebox';
import { CentsSchema } from './cents.ts';
import { defineEvent } from './event.ts';

const Id = Type.String({ format: 'uuid' });
const Moment = Type.String({ format: 'date-time' });
const Day = Type.String({ format: 'date' });

export const taskPricedV1 = defineEvent(
  'accounting',
  'task.priced.v1',
  'A task has its prices, once and for ever: the fee is charged at each assignment, the reward paid at completion. The subject is the task.',
  { fee: CentsSchema, reward: CentsSchema, pricedAt: Moment },
);

export const EntryKindSchema = Type.Union([
  Type.Literal('FEE'),
  Type.Literal('REWARD'),
  Type.Literal('REVERSAL'),
  Type.Literal('PAYOUT'),
]);
export type EntryKind = Static<typeof EntryKindSchema>;

/** One ledger entry of an employee's account; the subject of its event is the account. */
const postedEntry = {
  ownerId: Id,
  entry: Type.Object({
    id: Id,
    kind: EntryKindSchema,
    /** What the balance changed by. */
    amount: CentsSchema,
    balanceAfter: CentsSchema,
    description: Type.String(),
    taskId: Type.Union([Id, Type.Null()]),
    businessDay: Day,
    postedAt: Moment,
    lateFor: Type.Optional(Type.String({ format: 'date', description: 'The day that it belongs to, if that was closed when it came.' })),
  }),
};

export const accountChargedV1 = defineEvent(
  'accounting',
  'account.charged.v1',
  'An entry was posted that takes a fee from an employee: its amount is negative. The subject is the account.',
  postedEntry,
);

export const accountRewardedV1 = defineEvent(
  'accounting',
  'account.rewarded.v1',
  'An entry was posted that pays an employee a reward: its amount is positive. The subject is the account.',
  postedEntry,
);

export const accountReversedV1 = defineEvent(
  'accounting',
  'account.reversed.v1',
  'An entry was posted that takes back an earlier one of the same account, whole. The subject is the account.',
  {
    ...postedEntry,
    reversedEntryId: Id,
    reason: Type.String({ description: 'Why, for people.' }),
  },
);

export const accountPaidV1 = defineEvent(
  'accounting',
  'account.paid.v1',
  'At the close of a day the whole balance was paid out: its entry takes it from the account. The subject is the account.',
  { ...postedEntry, payoutId: Id },
);

export const accountCarriedOverV1 = defineEvent(
  'accounting',
  'account.carried_over.v1',
  'At the close of a day there was nothing to pay out: the balance, zero or below, is what the next day opens with. The subject is the account.',
  { ownerId: Id, businessDay: Day, balance: CentsSchema, carriedOverAt: Moment },
);

export const accountBalanceChangedV1 = defineEvent(
  'accounting',
  'account.balance_changed.v1',
  'The balance of an account after one or more entries. The subject is the account.',
  { ownerId: Id, balance: CentsSchema, changedAt: Moment },
);

export const dayCloseRequestedV1 = defineEvent(
  'accounting',
  'day.close_requested.v1',
  "A business day is to be closed: Tasks ends it, early if its time is not over, and answers with tasks.day_ended. The subject is the day's closing.",
  {
    businessDay: Day,
    requestedBy: Type.Union([Id, Type.Null()], { description: 'The admin; null when the schedule did.' }),
    requestedAt: Moment,
  },
);

const Count = Type.Integer({ minimum: 0 });

export const dayClosedV1 = defineEvent(
  'accounting',
  'day.closed.v1',
  "A business day is closed: nothing is posted to it any more. The subject is the day's closing.",
  {
    businessDay: Day,
    closedAt: Moment,
    assignments: Type.Integer({ minimum: 0, description: 'How many assignments stamped with the day were charged.' }),
    completions: Type.Integer({ minimum: 0, description: 'How many completions stamped with the day were rewarded.' }),
    companyEarnings: CentsSchema,
    paidOut: CentsSchema,
    paidEmployees: Count,
    carriedOver: Type.Unsafe<Static<typeof CentsSchema>>({ ...CentsSchema, description: 'The sum of the balances that were carried over: zero or below.' }),
    employeesInTheRed: Type.Integer({ minimum: 0, description: 'How many of them are below zero.' }),
  },
);

/** So many balances are in one `day.opened`. */
export const OPENING_BALANCES_MAX = 1_000;

export const dayOpenedV1 = defineEvent(
  'accounting',
  'day.opened.v1',
  "The balances that a business day opens with, in as many events as it takes; whoever is not named opens with zero. The subject is the closing of the day before.",
  {
    businessDay: Day,
    openedAt: Moment,
    part: Type.Integer({ minimum: 1, description: 'Of the day’s events this is the how-manyth.' }),
    parts: Type.Integer({ minimum: 1 }),
    balances: Type.Array(Type.Object({ accountId: Id, ownerId: Id, balance: CentsSchema }), { maxItems: OPENING_BALANCES_MAX }),
  },
);
