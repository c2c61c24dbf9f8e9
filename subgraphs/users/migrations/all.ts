import { Migration20261120Users } from './2026-11-20-users.ts';
import { Migration20261121Outbox } from './2026-11-21-outbox.ts';
import { Migration20261121Pipe } from './2026-11-21-pipe.ts';
import { Migration20261121SignIn } from './2026-11-21-sign-in.ts';

/** In the order in which they run. */
export const MIGRATIONS = [Migration20261120Users, Migration20261121Pipe, Migration20261121SignIn, Migration20261121Outbox];
