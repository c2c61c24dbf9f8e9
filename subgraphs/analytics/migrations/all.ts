import { Migration20261120Analytics } from './2026-11-20-analytics.ts';
import { Migration20261121Pipe } from './2026-11-21-pipe.ts';
import { Migration20261121Rebuild } from './2026-11-21-rebuild.ts';
import { Migration20261122ReadModels } from './2026-11-22-read-models.ts';
import { Migration20261123RebuildBeside } from './2026-11-23-rebuild-beside.ts';
import { Migration20261124AuditIndexes } from './2026-11-24-audit-indexes.ts';

/** In the order in which they run. */
export const MIGRATIONS = [
  Migration20261120Analytics,
  Migration20261121Pipe,
  Migration20261121Rebuild,
  Migration20261122ReadModels,
  Migration20261123RebuildBeside,
  Migration20261124AuditIndexes,
];
