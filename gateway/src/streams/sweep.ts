/** Members that are visited in turn, each once in a period. */
export interface Sweep<Member> {
  add(member: Member): void;
  remove(member: Member): void;
  readonly size: number;
  [Symbol.iterator](): Iterator<Member>;
  stop(): void;
}

/** Visits of one period are spread over so many moments: ten thousand pings at once would hold up everything else. */
const MOMENTS = 48;

/** One timer for all members, however many there are; it keeps no process alive. A member may be removed while it is visited. */
export function createSweep<Member>(periodMs: number, visit: (member: Member) => void): Sweep<Member> {
  const members = new Set<Member>();
  let round = members.values();
  let due = 0;
  const timer = setInterval(() => {
    for (due += members.size / MOMENTS; due >= 1; due -= 1) {
      let next = round.next();
      if (next.done === true) {
        round = members.values();
        next = round.next();
      }
      if (next.done === true) return;
      visit(next.value);
    }
  }, periodMs / MOMENTS).unref();
  return {
    add: (member) => void members.add(member),
    remove: (member) => void members.delete(member),
    get size() {
      return members.size;
    },
    [Symbol.iterator]: () => members.values(),
    stop: () => clearInterval(timer),
  };
}
