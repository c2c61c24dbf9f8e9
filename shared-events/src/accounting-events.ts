import Type, { type Static } from 'typebox';
import { CentsSchema } from './cents.ts';
import { defineEvent } from './event.ts';

const Id = Type.String({ format: 'uuid' });
const Moment = Type.String({ format: 'date-time' });
const Day = Type.String({ format: 'date' });

/** The prices of a task, set once. The subject is the task. */
export const taskPricedV1 = defineEvent('accounting', 'task.priced', 1, {
  fee: CentsSchema,
  reward: CentsSchema,
  pricedAt: Moment,
});

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
    /** What the balance changed by, in cents: negative for a fee, positive for a reward. */
    amount: CentsSchema,
    balanceAfter: CentsSchema,
    description: Type.String(),
    taskId: Type.Union([Id, Type.Null()]),
    businessDay: Day,
    postedAt: Moment,
  }),
};

export const accountChargedV1 = defineEvent('accounting', 'account.charged', 1, postedEntry);
export const accountRewardedV1 = defineEvent('accounting', 'account.rewarded', 1, postedEntry);

/** The state of an account after one or more entries. */
export const accountBalanceChangedV1 = defineEvent('accounting', 'account.balance_changed', 1, {
  ownerId: Id,
  balance: CentsSchema,
  changedAt: Moment,
});
