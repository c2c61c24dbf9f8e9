import { ownMember } from './tree.ts';

const NAME = /^[_A-Za-z][_0-9A-Za-z]*$/;

/** An expression that reads the own member `name` of the object in the variable `object`. @throws when it is no GraphQL name. */
export function readMember(object: string, name: string): string {
  checkName(name);
  return name in Object.prototype ? `ownMember(${object}, "${name}")` : `${object}.${name}`;
}

/** `name` as a key in an object literal. @throws when it is no GraphQL name. */
export function literalKey(name: string): string {
  checkName(name);
  return name === '__proto__' ? '["__proto__"]' : name;
}

/** `name` as a string literal. @throws when it is no GraphQL name. */
export function quotedName(name: string): string {
  checkName(name);
  return `"${name}"`;
}

/** Values that generated code uses, each under a name that it gets here. */
export interface Constants {
  add(value: unknown): string;
  readonly names: readonly string[];
  readonly values: readonly unknown[];
}

export function createConstants(): Constants {
  const names: string[] = [];
  const values: unknown[] = [];
  const known = new Map<unknown, string>();
  return {
    names,
    values,
    add: (value) => {
      const given = known.get(value);
      if (given !== undefined) return given;
      const name = `k${names.length}`;
      names.push(name);
      values.push(value);
      known.set(value, name);
      return name;
    },
  };
}

/**
 * Runs generated source, which ends in a `return`, and gives what it returns. Source is made of fixed text and of names that
 * passed `readMember`, `literalKey` or `quotedName`; everything else goes into it as a constant.
 */
export function evaluate(source: string, constants: Constants): unknown {
  // oxlint-disable-next-line no-new-func, no-implied-eval -- twice as fast as closures, and no text of a client gets into it
  const run = new Function('ownMember', ...constants.names, `"use strict";\n${source}`) as (...values: unknown[]) => unknown;
  return run(ownMember, ...constants.values);
}

function checkName(name: string): void {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no GraphQL name and may not become code`);
}
