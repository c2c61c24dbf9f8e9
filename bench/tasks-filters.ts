import { between, oneOf, type Random } from '../chaos/random.ts';
import type { TaskFilter, TaskOrder } from '../subgraphs/tasks/src/task-filter.ts';
import type { Rows } from './tasks-rows.ts';

const YEARS_MS = 3 * 365.25 * 86_400_000;
const HOUR_MS = 3_600_000;

/** What filters are drawn from: tasks that are there. */
export interface Sample {
  readonly id: string;
  readonly status: 'OPEN' | 'DONE' | 'DELETED';
  readonly assigneeId: string | null;
  readonly creatorId: string;
  readonly ticket: string | null;
  readonly text: string;
  readonly createdAt: Date;
  readonly completedAt: Date | null;
}

export interface Draw {
  readonly kind: string;
  readonly filter: TaskFilter;
  readonly order: TaskOrder;
  /** A cursor: somewhere in the list; null for its first page. */
  readonly after: string | null;
}

type Part = (task: Sample, random: Random, rows: Rows) => TaskFilter;

const aWord: Part = ({ text: words }, random, rows) => ({ text: random() < 0.5 ? oneOf(random, words.split(/\W+/)) : wordByRank(random, rows) });
const aBeginning: Part = (task, random, rows) => {
  const word = aWord(task, random, rows).text ?? '';
  return { text: word.slice(0, between(random, Math.min(2, word.length), Math.max(2, word.length - 1))) };
};
const twoWords: Part = (task, random, rows) => ({ text: `${aWord(task, random, rows).text} ${random() < 0.5 ? oneOf(random, task.text.split(/\W+/)) : wordByRank(random, rows)}` });
const aProject: Part = (_, random, rows) => ({ text: oneOf(random, rows.projects) });

/** One filter alone; with every other it is measured together too. */
const PARTS: Readonly<Record<string, Part>> = {
  status: (_, random) => ({ status: oneOf(random, ['OPEN', 'DONE', 'DELETED'] as const) }),
  assignee: ({ assigneeId }) => ({ assigneeId }),
  unassigned: (_, random) => ({ unassigned: random() < 0.5 }),
  creator: ({ creatorId }) => ({ creatorId }),
  ticket: ({ ticket }) => ({ ticket }),
  text: (task, random, rows) => oneOf(random, [aWord, aBeginning, twoWords, aProject])(task, random, rows),
  created: (_, random) => createdBetween(random),
};

/** Alone they are told apart. */
const ALONE: Readonly<Record<string, Part>> = {
  none: () => ({}),
  'status OPEN': () => ({ status: 'OPEN' }),
  'status DONE': () => ({ status: 'DONE' }),
  'status DELETED': () => ({ status: 'DELETED' }),
  assignee: PARTS['assignee'] as Part,
  'unassigned: true': () => ({ unassigned: true }),
  'unassigned: false': () => ({ unassigned: false }),
  creator: PARTS['creator'] as Part,
  ticket: PARTS['ticket'] as Part,
  'text: a word': aWord,
  'text: a beginning': aBeginning,
  'text: two words': twoWords,
  'text: a word of one month': aProject,
  created: PARTS['created'] as Part,
};

/** Kinds of filters with what draws them, those without a plan for each value first: a process prepares only so many statements. */
export function kinds(): ReadonlyMap<string, readonly Part[]> {
  const names = Object.keys(PARTS);
  const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other]));
  const triples = pairs.flatMap((pair) => names.slice(names.indexOf(pair[1] ?? '') + 1).map((third) => [...pair, third]));
  const together = [...pairs, ...triples].map((parts) => [parts.join(' + '), parts.map((name) => PARTS[name] as Part)] as const);
  const all: (readonly [string, readonly Part[]])[] = [...Object.entries(ALONE).map(([name, part]) => [name, [part]] as const), ...together];
  const isPlannedEachTime = ([name]: readonly [string, readonly Part[]]): number => Number(/ticket|text|created/.test(name));
  return new Map(all.sort((one, other) => isPlannedEachTime(one) - isPlannedEachTime(other)));
}

/** One list to ask for: half of the time all of its filters hold for some task, half of the time they have nothing to do with each other. */
export function draw(kind: string, parts: readonly Part[], samples: readonly Sample[], { random, rows }: { readonly random: Random; readonly rows: Rows }): Draw {
  const whole = oneOf(random, samples);
  const isOfOne = random() < 0.5;
  const filter = parts.reduce<TaskFilter>((joined, part) => ({ ...joined, ...partOf(part, isOfOne ? whole : oneOf(random, samples), { random, rows, samples }) }), {});
  const isDone = filter.status == null || filter.status === 'DONE';
  const order = oneOf(random, ['NEWEST', 'OLDEST', ...(isDone ? (['LATEST_COMPLETED'] as const) : [])] as const);
  return { kind, filter, order, after: random() < 0.5 ? null : cursorAt(order, samples, random) };
}

/** Tasks without a ticket or an assignee have none to be listed by: then another task's. */
function partOf(part: Part, task: Sample, from: { readonly random: Random; readonly rows: Rows; readonly samples: readonly Sample[] }): TaskFilter {
  let filter = part(task, from.random, from.rows);
  while (Object.values(filter).includes(null)) filter = part(oneOf(from.random, from.samples), from.random, from.rows);
  return filter;
}

function cursorAt(order: TaskOrder, samples: readonly Sample[], random: Random): string {
  for (;;) {
    const { id, createdAt, completedAt } = oneOf(random, samples);
    const at = order === 'LATEST_COMPLETED' ? completedAt : createdAt;
    if (at !== null) return Buffer.from(JSON.stringify([at.toISOString(), id])).toString('base64url');
  }
}

/** Each power of ten of ranks as often as the next. */
function wordByRank(random: Random, { words }: Rows): string {
  return words[Math.floor(words.length ** random())] ?? '';
}

/** From an hour to all of the time, or open at one end. */
function createdBetween(random: Random): TaskFilter {
  const width = HOUR_MS * (YEARS_MS / HOUR_MS) ** random();
  const from = Date.now() - YEARS_MS + random() * (YEARS_MS - width);
  const drawn = random();
  return { ...(drawn > 0.2 && { createdFrom: new Date(from) }), ...(drawn < 0.8 && { createdBefore: new Date(from + width) }) };
}
