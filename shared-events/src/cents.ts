import Type from 'typebox';

declare const centsBrand: unique symbol;

/** Money: a whole number of US cents, possibly negative, always a safe integer; never a float of dollars. */
export type Cents = number & { readonly [centsBrand]: true };

/** The JSON Schema of an amount in an event. */
export const CentsSchema = Type.Unsafe<Cents>(
  Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER, description: 'US cents.' }),
);

export const ZERO_CENTS = 0 as Cents;

/**
 * Takes a number, or a database bigint in its text form, for an amount.
 * @throws RangeError when it is no whole number or leaves the safe range: money is never rounded.
 */
export function cents(amount: number | string): Cents {
  const value = amount === '' ? Number.NaN : Number(amount);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${amount} is no amount of cents: a safe whole number is needed`);
  return value as Cents;
}

/** The sum, in cents. @throws RangeError when it leaves the safe range. */
export function addCents(...amounts: readonly Cents[]): Cents {
  return cents(amounts.reduce((sum, amount) => sum + amount, 0));
}

/** The same amount in the other direction. */
export function negateCents(amount: Cents): Cents {
  return cents(0 - amount);
}
