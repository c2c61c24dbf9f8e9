import { parseNamedValues } from '@ates/service-kit/env';

/** A folder of documents that a subgraph gives out to whoever has a link. */
export interface DoorSettings {
  /** The first segment of their paths, here and there. */
  readonly path: string;
  readonly subgraph: string;
  /** How long one document may take until its last byte is taken. */
  readonly seconds: number;
}

/** Another issuer's tokens, and the subgraph that gives trusted ones for them. */
export interface TokenExchangeSettings {
  /** `iss` of the tokens to exchange. */
  readonly issuer: string;
  readonly subgraph: string;
}

/** A token bucket: so much comes in, so much may wait in it. */
export interface RateLimit {
  readonly perSecond: number;
  /** Ten seconds' worth, and at least the number that the setting names. */
  readonly burst: number;
}

/** Who may ask for the plan of an operation: nobody, anybody, or whoever has the role. */
export type QueryPlans = 'off' | 'on' | { readonly role: string };

const BURST_SECONDS = 10;
const SERVED_BY_THE_GATEWAY: readonly string[] = ['graphql', 'graphiql', 'healthz', 'readyz', 'metrics'];

/** A port to listen at, 0 for a free one. */
export function parseListeningPort(input: string): number {
  const number = Number(input);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) throw new Error('must be a port, 0 to 65535 (0: a free one)');
  return number;
}

/** `on` or `off`. */
export function parseOnOff(input: string): boolean {
  if (input !== 'on' && input !== 'off') throw new Error(`"${input}" is neither on nor off`);
  return input === 'on';
}

/** Names with commas between. */
export function parseNames(input: string): readonly string[] {
  const all = input.split(',').flatMap((name) => name.trim() || []);
  const wrong = all.find((name) => !/^[_A-Za-z][_0-9A-Za-z]*$/.test(name));
  if (wrong !== undefined) throw new Error(`"${wrong}" is no name of a field`);
  return all;
}

/** `off`, `N/s` or `N/m`. */
export function parseRateLimit(input: string): RateLimit | 'off' {
  if (input === 'off') return input;
  const [, digits, unit] = /^(\d+)\/([sm])$/.exec(input) ?? [];
  const number = Number(digits);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`"${input}" is no rate: write 100/s, 600/m or off`);
  const perSecond = unit === 's' ? number : number / 60;
  return { perSecond, burst: Math.max(number, perSecond * BURST_SECONDS) };
}

/** `off`, `on` or `role:NAME`. */
export function parseQueryPlans(input: string): QueryPlans {
  if (input === 'off' || input === 'on') return input;
  const role = /^role:(\S+)$/.exec(input)?.[1];
  if (role === undefined) throw new Error(`"${input}" is neither off, on nor role:NAME`);
  return { role };
}

/** `issuer=subgraph`; an issuer may hold a "=" too. */
export function parseTokenExchange(input: string): TokenExchangeSettings {
  const at = input.lastIndexOf('=');
  const [issuer, subgraph] = [input.slice(0, Math.max(at, 0)).trim(), input.slice(at + 1).trim()];
  if (issuer === '' || subgraph === '') throw new Error(`"${input}" is not issuer=subgraph`);
  return { issuer, subgraph };
}

/** `path=subgraph:seconds`, with commas between. */
export function parseDoors(input: string): readonly DoorSettings[] {
  return [...parseNamedValues(input)].map(([path, value]) => {
    const [, subgraph, seconds] = /^([^:]+):([1-9]\d{0,5})$/.exec(value) ?? [];
    if (subgraph === undefined) throw new Error(`"${path}=${value}" is not path=subgraph:seconds`);
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(path)) throw new Error(`"${path}" can be no path: use letters, digits, - and _`);
    if (SERVED_BY_THE_GATEWAY.includes(path)) throw new Error(`/${path} is served by the gateway itself: choose another path`);
    return { path, subgraph, seconds: Number(seconds) };
  });
}
