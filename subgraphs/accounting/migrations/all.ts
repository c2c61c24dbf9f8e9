import { Migration20261120Accounting } from './2026-11-20-accounting.ts';
import { Migration20261121Closing } from './2026-11-21-closing.ts';
import { Migration20261121LedgerChecks } from './2026-11-21-ledger-checks.ts';
import { Migration20261121Outbox } from './2026-11-21-outbox.ts';
import { Migration20261121Pipe } from './2026-11-21-pipe.ts';
import { Migration20261121Reversals } from './2026-11-21-reversals.ts';
import { Migration20261122EntriesInOrder } from './2026-11-22-entries-in-order.ts';
import { Migration20261122Sealing } from './2026-11-22-sealing.ts';

/** In the order in which they run. */
export const MIGRATIONS = [
  Migration20261120Accounting,
  Migration20261121Pipe,
  Migration20261121LedgerChecks,
  Migration20261121Outbox,
  Migration20261121Reversals,
  Migration20261121Closing,
  Migration20261122Sealing,
  Migration20261122EntriesInOrder,
];
