/** The transaction that waits longest for another one is ended, as PostgreSQL ends one of those that wait for each other. */
export const DEADLOCK = Object.assign(new Error('deadlock detected'), { code: '40P01' });

/** One thread of work, which runs from one of its turns to the next and nowhere else. */
export class Actor {
  readonly name: string;
  /** Whether there is anything to do for it; not asked in the middle of its work. */
  readonly hasWork: () => boolean;
  isResting = false;
  /** Tells whether what it waits for is free. */
  isFree: (() => boolean) | null = null;
  resume: ((isVictim: boolean) => void) | null = null;

  constructor(name: string, hasWork: () => boolean) {
    this.name = name;
    this.hasWork = hasWork;
  }

  get canRun(): boolean {
    return this.resume !== null && (this.isFree === null || this.isFree()) && (!this.isResting || this.hasWork());
  }
}

/** Runs actors one at a time, in an order that somebody chooses: the same choices, the same run. */
export class Actors {
  readonly all: Actor[] = [];
  #yielded: () => void = () => {};

  /** Lets the actor run up to its first turn. */
  start(actor: Actor, work: (actor: Actor) => Promise<void>): Promise<void> {
    this.all.push(actor);
    return this.#untilNextTurn(() => {
      void work(actor).finally(() => this.#yielded());
    });
  }

  /** Ends an actor where it stands: what it awaits never comes. */
  kill(actor: Actor): void {
    actor.resume = null;
    this.all.splice(this.all.indexOf(actor), 1);
  }

  /** Waits for the next turn. @param isFree when it can come @throws DEADLOCK when it never would */
  async turn(actor: Actor, isFree: (() => boolean) | null = null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    actor.resume = resolve;
    actor.isFree = isFree;
    this.#yielded();
    if (await promise) throw DEADLOCK;
  }

  runnable(): Actor[] {
    return this.all.filter((actor) => actor.canRun);
  }

  /** Lets one go on to its next turn. */
  run(actor: Actor): Promise<void> {
    return this.#resume(actor, false);
  }

  /** When nobody can go on: ends the wait of one. @returns whether somebody waited */
  async breakDeadlock(): Promise<boolean> {
    const victim = this.all.find(({ isFree, resume }) => isFree !== null && resume !== null);
    if (victim !== undefined) await this.#resume(victim, true);
    return victim !== undefined;
  }

  #resume(actor: Actor, isVictim: boolean): Promise<void> {
    const resume = actor.resume;
    actor.resume = null;
    actor.isResting = false;
    return this.#untilNextTurn(() => resume?.(isVictim));
  }

  #untilNextTurn(begin: () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#yielded = resolve;
    begin();
    return promise;
  }
}
