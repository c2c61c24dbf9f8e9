import { setPriority } from 'node:os';
import { runProgram, wholeNumber, type Command, type CommandContext, type Given, type Program } from './command.ts';
import { openNats, withDatabases } from './connections.ts';
import { OperationError, UsageError } from './errors.ts';
import { subscriptionsOf, WHERE_IT_CONNECTS } from './installation.ts';
import { rebuildReadModel } from './read-model-rebuild.ts';

/** Makes a service's read model again from the streams: `npm run rebuild -- analytics`. */
const CALL = 'npm run -s rebuild --';
const PATIENCE_SECONDS = 120;
/** As Analytics' own: those who give and take money come first. */
const PRIORITY = 5;

/** Why the other services' states can't be made again. */
const NOT_REBUILT: Readonly<Record<string, string>> = {
  users: 'Users makes its state itself and takes no events: there is nothing to make it of. Restore a backup instead.',
  tasks: "Tasks decides itself what its tasks are; events of others only add to that. Restore a backup instead.",
  accounting: "Accounting's ledger is append-only and the only record of what was posted: it is never emptied. Mend a mistake by a reversal, a lost database by a backup.",
};

const ANALYTICS: Command = {
  name: 'analytics',
  usage: 'analytics [--patience <seconds>]',
  summary: "Makes Analytics' read model again from the streams, beside the one in use, and puts it in its place.",
  details: `  --patience <seconds>   give up when nothing moves for so long (default ${PATIENCE_SECONDS}); the model in use is then as it was

The system runs on meanwhile, or stands still; dashboards show the model in use, whole, until the new one is in its place. Nothing is done
when a stream no longer holds its history from the first event on. Events that were discarded are discarded again; open parked events that
still can't be applied are parked again. Asks nothing, so that scripts can run it. Ended before it is done it has changed nothing; the next
call begins anew. Days are those of the service's BUSINESS_TIME_ZONE, which it has noted in its database.`,
  options: { patience: { type: 'string' } },
  words: { min: 0, max: 0 },
  run: rebuild,
};

const REBUILD: Program = {
  call: CALL,
  help: `${ANALYTICS.summary} Usage: ${CALL} ${ANALYTICS.usage}

${ANALYTICS.details}

${WHERE_IT_CONNECTS}

Exit codes: 0 done; 1 not done, the output says why; 2 the command line can't be understood.`,
  choose: ([name = '', ...rest]) => {
    if (name === ANALYTICS.name) return { command: ANALYTICS, rest };
    if (NOT_REBUILT[name] !== undefined) throw new OperationError(`${name} can't be rebuilt, nothing was done. ${NOT_REBUILT[name]}`);
    throw new UsageError(`"${name}" is no service. Only analytics can be rebuilt: ${CALL} ${ANALYTICS.usage}`);
  },
};

async function rebuild(given: Given, { installation: find, out }: CommandContext): Promise<0 | 1> {
  const patienceMs = (wholeNumber(given, 'patience', 1) ?? PATIENCE_SECONDS) * 1_000;
  const installation = find();
  setPriority(PRIORITY);
  const nats = await openNats(installation);
  try {
    return await withDatabases(installation, ['analytics'], async ([database]) => {
      if (database === undefined) return 1;
      const databaseUrl = installation.databaseUrl('analytics') ?? '';
      const timeZone = process.env['BUSINESS_TIME_ZONE'] ?? 'UTC';
      return (await rebuildReadModel({ database, databaseUrl, nats, subscriptions: subscriptionsOf('analytics'), timeZone, patienceMs, out })) ? 0 : 1;
    });
  } finally {
    await nats.close();
  }
}

await runProgram(REBUILD);
