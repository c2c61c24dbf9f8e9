import type { OperationContext } from '../operation-context.ts';

/** How many streams somebody has open, so that nobody has them all. */
export interface StreamBounds {
  /** @returns false when there are as many as may be */
  enter(key: string): boolean;
  leave(key: string): void;
}

/** Many people may share an address, and nobody's tokens tell them apart. */
const STREAMS_OF_AN_ADDRESS_FACTOR = 20;
const ADDRESS = 'address ';

/** Whose stream it is: the user's, or where there is none, the address's. */
export function streamOwner({ viewer, client }: Pick<OperationContext, 'viewer' | 'client'>): string {
  return viewer === null ? `${ADDRESS}${client.clientAddress}` : `user ${viewer.userId}`;
}

/** @param maxOfUser streams of one user; of one address there may be twenty times as many */
export function createStreamBounds(maxOfUser: number): StreamBounds {
  const counts = new Map<string, number>();
  return {
    enter: (key) => {
      const count = counts.get(key) ?? 0;
      if (count >= (key.startsWith(ADDRESS) ? maxOfUser * STREAMS_OF_AN_ADDRESS_FACTOR : maxOfUser)) return false;
      counts.set(key, count + 1);
      return true;
    },
    leave: (key) => {
      const left = (counts.get(key) ?? 1) - 1;
      if (left === 0) counts.delete(key);
      else counts.set(key, left);
    },
  };
}
