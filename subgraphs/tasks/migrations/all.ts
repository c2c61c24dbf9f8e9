import { Migration20261120Tasks } from './2026-11-20-tasks.ts';
import { Migration20261121Market } from './2026-11-21-market.ts';
import { Migration20261121Outbox } from './2026-11-21-outbox.ts';
import { Migration20261121Pipe } from './2026-11-21-pipe.ts';

/** In the order in which they run. */
export const MIGRATIONS = [Migration20261120Tasks, Migration20261121Pipe, Migration20261121Outbox, Migration20261121Market];
