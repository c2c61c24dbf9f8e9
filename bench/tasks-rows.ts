import { between, oneOf, type Random } from '../chaos/random.ts';

/** So many people, words and years there are in the lists' database. */
export const EMPLOYEES = 1_000;
export const CREATORS = 200;
const WORDS = 20_000;
const YEARS = 3;
const DAY_MS = 86_400_000;

const BUSY_CREATORS = 4;
const BUSY_SHARE = 0.1;
/** Besides the latest, which nobody has had the time to do: together 9 %. */
const LEFT_OPEN_SHARE = 0.077;
const DELETED_SHARE = 0.01;
/** Of the open and the deleted tasks. */
const UNASSIGNED_SHARE = 0.02;
const TICKET_SHARE = 1 / 3;
const LONG_TICKET_SHARE = 0.01;
const LONG_TICKET_TASKS = 50;
/** Each month has words of its own, its projects' names, which nobody uses later. */
const PROJECTS_A_MONTH = 3;
const MONTHS = YEARS * 12;
const PROJECT_SHARE = 0.5;
const COMPLETION_MEAN_DAYS = 14;
/** Zipf's law with Mandelbrot's offset: the first word is in half of the texts, the last in some twenty of a million. */
const ZIPF_EXPONENT = 1.4;
const ZIPF_OFFSET = 10;
const ZIPF_PLACES = 1 << 20;
const SORTED_TOGETHER = 50_000;

/** One task, as it is stored. */
export interface Row {
  readonly number: number;
  readonly createdAt: Date;
  readonly status: 'OPEN' | 'DONE' | 'DELETED';
  readonly creator: number;
  /** Null when nobody has it. */
  readonly assignee: number | null;
  readonly ticket: string | null;
  readonly title: string;
  readonly description: string;
  /** Its completion or deletion. */
  readonly endedAt: Date | null;
}

/** Made-up words, the most used first, no two alike. */
function makeWords(random: Random, count: number): string[] {
  const words = new Set<string>();
  const letterOf = (letters: string): string => letters.charAt(between(random, 0, letters.length - 1));
  while (words.size < count) {
    const syllables = Array.from({ length: between(random, 2, 4) }, () => letterOf('bdfghjklmnprstvz') + letterOf('aeiou'));
    words.add(syllables.join('') + (random() < 0.3 ? letterOf('lnrst') : ''));
  }
  return [...words];
}

/** The places of `count` words, each as often as Zipf's law has it: to be drawn from evenly. */
function zipfPlaces(count: number): Uint16Array {
  const weights = Array.from({ length: count }, (_, place) => (place + 1 + ZIPF_OFFSET) ** -ZIPF_EXPONENT);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const places = new Uint16Array(ZIPF_PLACES);
  let filled = 0;
  let sum = 0;
  weights.forEach((weight, place) => {
    sum += weight;
    const end = Math.round((sum / total) * ZIPF_PLACES);
    places.fill(place, filled, end);
    filled = end;
  });
  return places;
}

/** Whom and what tasks are of, by chance but the same for the same chance. */
export class Rows {
  readonly words: readonly string[];
  readonly projects: readonly string[];
  readonly #random: Random;
  readonly #places = zipfPlaces(WORDS);
  readonly #beginsAt: number;
  readonly #endsAt: number;
  readonly #count: number;
  readonly #creators: Uint8Array;
  #ticket = '';
  #ticketTasks = 0;
  #tickets = 0;

  constructor(random: Random, count: number, endsAt: number) {
    this.#random = random;
    this.#count = count;
    this.#endsAt = endsAt;
    this.#beginsAt = endsAt - YEARS * 365.25 * DAY_MS;
    const words = makeWords(random, WORDS + MONTHS * PROJECTS_A_MONTH);
    this.words = words.slice(0, WORDS);
    this.projects = words.slice(WORDS);
    this.#creators = creatorPlaces();
  }

  /** All of them, some at a time: about as they lie on the disk, where a change puts a task behind those that were there. */
  *chunks(size: number): Generator<Row[]> {
    for (let from = 0; from < this.#count; from += SORTED_TOGETHER) {
      const rows = Array.from({ length: Math.min(SORTED_TOGETHER, this.#count - from) }, (_, index) => this.#row(from + index));
      rows.sort((one, other) => changedAt(one) - changedAt(other));
      for (let place = 0; place < rows.length; place += size) yield rows.slice(place, place + size);
    }
  }

  #row(index: number): Row {
    const random = this.#random;
    const createdAt = new Date(this.#beginsAt + ((index + random()) / this.#count) * (this.#endsAt - this.#beginsAt));
    const doneAt = createdAt.getTime() - Math.log(1 - random()) * COMPLETION_MEAN_DAYS * DAY_MS;
    const drawn = random();
    const isDeleted = drawn < DELETED_SHARE;
    const isOpen = !isDeleted && (drawn < DELETED_SHARE + LEFT_OPEN_SHARE || doneAt > this.#endsAt);
    const status = isDeleted ? 'DELETED' : isOpen ? 'OPEN' : 'DONE';
    return {
      number: index + 1,
      createdAt,
      status,
      creator: oneOf(random, this.#creators as unknown as readonly number[]),
      assignee: status !== 'DONE' && random() < UNASSIGNED_SHARE ? null : Math.floor(random() ** 2 * EMPLOYEES),
      ticket: random() < TICKET_SHARE ? this.#nextTicket() : null,
      title: this.#sentence(3, 7),
      description: random() < PROJECT_SHARE ? `${this.#sentence(5, 25)}, ${this.#projectAt(createdAt)}` : this.#sentence(5, 25),
      endedAt: isOpen ? null : new Date(Math.min(doneAt, this.#endsAt)),
    };
  }

  #projectAt(createdAt: Date): string {
    const month = Math.floor(((createdAt.getTime() - this.#beginsAt) / (this.#endsAt - this.#beginsAt)) * MONTHS);
    return this.projects[month * PROJECTS_A_MONTH + Math.floor(this.#random() * PROJECTS_A_MONTH)] ?? '';
  }

  #nextTicket(): string {
    if (this.#ticketTasks === 0) {
      this.#ticket = `POPUG-${(this.#tickets += 1)}`;
      this.#ticketTasks = this.#random() < LONG_TICKET_SHARE ? LONG_TICKET_TASKS : between(this.#random, 1, 4);
    }
    this.#ticketTasks -= 1;
    return this.#ticket;
  }

  #sentence(least: number, most: number): string {
    let sentence = '';
    for (let count = between(this.#random, least, most); count > 0; count -= 1) sentence += (sentence === '' ? '' : ' ') + this.#word();
    return sentence;
  }

  #word(): string {
    return this.words[this.#places[Math.floor(this.#random() * ZIPF_PLACES)] ?? 0] ?? '';
  }
}

function changedAt({ createdAt, endedAt }: Row): number {
  return (endedAt ?? createdAt).getTime();
}

/** The first few make a tenth of all tasks each, the others share the rest by Zipf's law. */
function creatorPlaces(): Uint8Array {
  const places = new Uint8Array(100_000);
  const others = Array.from({ length: CREATORS - BUSY_CREATORS }, (_, place) => 1 / (place + 1));
  const total = others.reduce((sum, weight) => sum + weight, 0);
  const shares = [...Array.from({ length: BUSY_CREATORS }, () => BUSY_SHARE), ...others.map((weight) => ((1 - BUSY_CREATORS * BUSY_SHARE) * weight) / total)];
  let sum = 0;
  let filled = 0;
  shares.forEach((share, creator) => {
    sum += share;
    const end = Math.round(sum * places.length);
    places.fill(creator, filled, end);
    filled = end;
  });
  return places;
}
