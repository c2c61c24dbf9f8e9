import { evaluateSize, type Size, type Variables } from './list-sizes.ts';

/** A price: known already, or the outcome of a step of the program. */
export type Price = { readonly constant: number } | { readonly step: number };

/** `@skip` or `@include` by a variable. */
export interface Condition {
  readonly variable: string;
  readonly wanted: boolean;
}

/** `once + size × (weight + below)`, or nothing when a condition says so. */
export interface Term {
  readonly conditions: readonly Condition[];
  readonly size: Size | number;
  readonly weight: number;
  readonly once: number;
  readonly below: Price;
}

/**
 * Prices that depend on variables, each computed once for a request: steps in an order in which each needs earlier ones only.
 * Fragments that spread one another many times share their steps.
 */
export interface PriceProgram {
  /** The largest of sums. */
  dearest(sums: readonly (readonly Term[])[]): Price;
  compile(price: Price): (variables: Variables) => number;
}

/** Larger prices are all the same: too much. */
const SATURATED = Number.MAX_SAFE_INTEGER;

interface Sum {
  constant: number;
  readonly terms: Term[];
}

export function constantPrice(constant: number): Price {
  return { constant };
}

export function createPriceProgram(): PriceProgram {
  const steps: (readonly Sum[])[] = [];
  return {
    dearest: (sums) => {
      const folded = sums.map(fold);
      const variable = folded.filter(({ terms }) => terms.length > 0);
      const constant = folded.reduce((most, sum) => (sum.terms.length > 0 ? most : Math.max(most, sum.constant)), 0);
      if (variable.length === 0) return { constant };
      steps.push([...variable, { constant, terms: [] }]);
      return { step: steps.length - 1 };
    },
    compile: (price) => {
      if ('constant' in price) return () => price.constant;
      const needed = steps.slice(0, price.step + 1);
      return (variables) => {
        const outcomes = new Float64Array(needed.length);
        for (const [step, sums] of needed.entries()) outcomes[step] = largest(sums, variables, outcomes);
        return outcomes[price.step] as number;
      };
    },
  };
}

/** Adds up what no variable decides. */
function fold(terms: readonly Term[]): Sum {
  const sum: Sum = { constant: 0, terms: [] };
  for (const term of terms) {
    const size = typeof term.size === 'number' ? term.size : term.size.given.some(({ variable }) => variable !== undefined) ? undefined : evaluateSize(term.size, {});
    if (term.conditions.length > 0 || size === undefined || 'step' in term.below) sum.terms.push(size === undefined ? term : { ...term, size });
    else sum.constant = Math.min(SATURATED, sum.constant + term.once + size * (term.weight + term.below.constant));
  }
  return sum;
}

function largest(sums: readonly Sum[], variables: Variables, outcomes: Float64Array): number {
  let most = 0;
  for (const { constant, terms } of sums) {
    let total = constant;
    for (const { conditions, size, weight, once, below } of terms) {
      if (conditions.some(({ variable, wanted }) => variables[variable] !== wanted)) continue;
      const times = typeof size === 'number' ? size : evaluateSize(size, variables);
      total += once + times * (weight + ('constant' in below ? below.constant : (outcomes[below.step] as number)));
    }
    most = Math.max(most, total);
  }
  return Math.min(SATURATED, most);
}
