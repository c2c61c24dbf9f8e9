import { cents, type Cents } from '@ates/shared-events/cents';

/** What a task costs whom it is assigned to, and pays who completes it; in cents. */
export interface Price {
  readonly fee: Cents;
  readonly reward: Cents;
}

/** A whole number from `min` to `max`, both included, each equally likely. */
export type RandomBetween = (min: number, max: number) => number;

export const FEE_MIN_CENTS = 10_00;
export const FEE_MAX_CENTS = 20_00;
export const REWARD_MIN_CENTS = 20_00;
export const REWARD_MAX_CENTS = 40_00;

/** The price of a new task: a fee of $10 to $20 and a reward of $20 to $40, uniform to the cent. */
export function drawPrice(random: RandomBetween): Price {
  return { fee: cents(random(FEE_MIN_CENTS, FEE_MAX_CENTS)), reward: cents(random(REWARD_MIN_CENTS, REWARD_MAX_CENTS)) };
}
