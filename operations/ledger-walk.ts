import { entryHash, FIRST_HASH, type ChainedEntry } from '../subgraphs/accounting/src/chain.ts';

/** A row of the ledger that is wrong. What is not known of it, or does not apply, is null. */
export interface Finding {
  readonly accountId: string | null;
  readonly number: string | null;
  readonly entryId: string | null;
  readonly postingId: string | null;
  readonly businessDay: string | null;
  readonly description: string | null;
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** An entry with all that is compared with it; hashes in hex. */
export interface WalkedEntry extends ChainedEntry {
  /** The posting's id where there is one; `postingId` is what the entry says. */
  readonly foundPosting: string | null;
  /** Null as long as it is not sealed. */
  readonly seal: string | null;
}

/** What is stored of an account and of how far it is sealed; nulls where there is nothing. */
export interface WalkedAccount {
  readonly id: string;
  readonly balance: string | null;
  readonly entryCount: string | null;
  readonly headNumber: string | null;
  readonly headHash: string | null;
}

export interface WalkCounts {
  readonly entries: number;
  readonly sealed: number;
  readonly accounts: number;
}

type Difference = Pick<Finding, 'what' | 'expected' | 'found'>;

/** What an account comes to, by its entries alone. */
interface Reached {
  readonly number: number;
  readonly balance: bigint;
  readonly hash: string;
  /** How far it is sealed. */
  readonly sealed: number;
  readonly last: WalkedEntry | null;
}

const NOTHING: Reached = { number: 0, balance: 0n, hash: FIRST_HASH, sealed: 0, last: null };
const NONE = 'none';
const NOWHERE = { accountId: null, number: null, entryId: null, postingId: null, businessDay: null, description: null };

/**
 * Goes along all entries, one account after the other, each by its numbers, and computes anew what follows from them: numbers, balances,
 * hashes. Trusts nothing that is stored beside an entry and its posting.
 */
export class LedgerWalk {
  readonly #accounts: AsyncIterator<WalkedAccount, undefined>;
  readonly #counts = { entries: 0, sealed: 0, accounts: 0 };
  /** The account whose entries are read, and the one that is stored after it. */
  #account: WalkedAccount | null = null;
  #next: WalkedAccount | undefined;
  #reached = NOTHING;
  #sum = 0n;

  /** @param accounts all that are stored, in the order in which their entries come */
  constructor(accounts: AsyncIterator<WalkedAccount, undefined>) {
    this.#accounts = accounts;
  }

  get counts(): WalkCounts {
    return this.#counts;
  }

  /** @returns the first thing that is wrong with these, or with the accounts before them; else null */
  async enter(entries: readonly WalkedEntry[]): Promise<Finding | null> {
    for (const entry of entries) {
      if (entry.accountId !== this.#account?.id) {
        const wrong = await this.#goTo(entry);
        if (wrong !== null) return wrong;
      }
      const difference = whatIsWrong(entry, this.#reached);
      if (difference !== null) return findingOf(entry, difference);
      this.#add(entry);
    }
    return null;
  }

  /** After the last entry. */
  async end(): Promise<Finding | null> {
    const wrong = this.#leave() ?? (await this.#passUntil(null));
    if (wrong !== null) return wrong;
    return this.#sum === 0n ? null : { ...NOWHERE, what: 'all entries together are not zero', expected: '0', found: String(this.#sum) };
  }

  #add(entry: WalkedEntry): void {
    const number = Number(entry.number);
    const isSealed = entry.seal !== null;
    const amount = BigInt(entry.amount ?? '0');
    const { balance, sealed, hash } = this.#reached;
    // Hashes end where the seals do: the rest is the sealing worker's to come.
    this.#reached = { number, balance: balance + amount, sealed: isSealed ? number : sealed, hash: entry.seal ?? hash, last: entry };
    this.#sum += amount;
    this.#counts.entries += 1;
    this.#counts.sealed += Number(isSealed);
  }

  async #goTo(entry: WalkedEntry): Promise<Finding | null> {
    const wrong = this.#leave() ?? (await this.#passUntil(entry.accountId));
    if (wrong !== null) return wrong;
    if (this.#next?.id !== entry.accountId) return findingOf(entry, { what: 'its account is missing', expected: entry.accountId ?? NONE, found: NONE });
    this.#account = this.#next;
    this.#next = undefined;
    this.#reached = NOTHING;
    return null;
  }

  /** Compares the account whose entries were read with what they come to. */
  #leave(): Finding | null {
    if (this.#account === null) return null;
    this.#counts.accounts += 1;
    const [account, reached] = [this.#account, this.#reached];
    this.#account = null;
    const difference = unlikeItsEntries(account, reached);
    if (difference === null) return null;
    return reached.last === null ? { ...NOWHERE, accountId: account.id, ...difference } : findingOf(reached.last, difference);
  }

  /** Compares the accounts in between, which have no entries. */
  async #passUntil(id: string | null): Promise<Finding | null> {
    for (;;) {
      this.#next ??= (await this.#accounts.next()).value;
      if (this.#next === undefined || (id !== null && this.#next.id >= id)) return null;
      [this.#account, this.#next, this.#reached] = [this.#next, undefined, NOTHING];
      const wrong = this.#leave();
      if (wrong !== null) return wrong;
    }
  }
}

/** What is wrong with an entry, the plainest first: a hash tells only that something was changed. */
function whatIsWrong(entry: WalkedEntry, before: Reached): Difference | null {
  const expectedNumber = String(before.number + 1);
  if (entry.number !== expectedNumber) return { what: `entry ${expectedNumber} of the account is missing`, expected: expectedNumber, found: entry.number ?? NONE };
  return unlikeItsPosting(entry) ?? unlikeBefore(entry, before) ?? unlikeItsSeal(entry, before);
}

function unlikeItsPosting(entry: WalkedEntry): Difference | null {
  if (entry.foundPosting === null) return { what: 'its posting is missing', expected: entry.postingId ?? NONE, found: NONE };
  const account = entry.side === '1' ? entry.toAccount : entry.fromAccount;
  const amount = entry.side === '1' ? entry.postingAmount : `-${entry.postingAmount}`;
  return (
    different('its side is neither', '-1 or 1', entry.side === '1' || entry.side === '-1' ? '-1 or 1' : entry.side) ??
    different('its posting is between other accounts', account, entry.accountId) ??
    different('its amount in cents is not that of its posting', amount, entry.amount) ??
    different('its business day is not that of its posting', entry.postingDay, entry.businessDay)
  );
}

function unlikeBefore(entry: WalkedEntry, { balance }: Reached): Difference | null {
  return different('the balance after it, in cents, does not follow from the entry before it', String(balance + BigInt(entry.amount ?? '0')), entry.balanceAfter);
}

function unlikeItsSeal(entry: WalkedEntry, { number, sealed, hash }: Reached): Difference | null {
  if (entry.seal === null) return null;
  if (sealed !== number) return { what: `it is sealed, and the entry before it is not`, expected: `a seal of entry ${sealed + 1}`, found: NONE };
  return different('it or its posting, or its seal, was changed after it was sealed: its hash', entryHash(hash, entry), entry.seal);
}

function unlikeItsEntries({ balance, entryCount, headNumber, headHash }: WalkedAccount, reached: Reached): Difference | null {
  if (entryCount === null) return { what: 'the account is sealed, but missing itself', expected: 'an account', found: NONE };
  const headExpected = reached.sealed === 0 ? null : reached.hash;
  return (
    different('the account counts other entries than it has', String(reached.number), entryCount) ??
    different('the balance of the account, in cents, is not what its entries come to', String(reached.balance), balance) ??
    different('the account is said to be sealed up to another entry than it is', reached.sealed === 0 ? null : String(reached.sealed), headNumber) ??
    different('the account is said to be sealed with another hash than its last seal', headExpected, headHash)
  );
}

function different(what: string, expected: string | null, found: string | null): Difference | null {
  return expected === found ? null : { what, expected: expected ?? NONE, found: found ?? NONE };
}

function findingOf({ accountId, number, entryId, postingId, businessDay, description }: WalkedEntry, difference: Difference): Finding {
  return { accountId, number, entryId, postingId, businessDay, description, ...difference };
}
