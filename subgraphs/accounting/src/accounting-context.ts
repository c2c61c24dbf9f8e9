import type { KeyObject } from 'node:crypto';
import type { Database } from '@ates/service-kit/database';
import type { Loader } from '@ates/service-kit/loader';
import type { Viewer } from '@ates/service-kit/viewer';
import type { Cents } from '@ates/shared-events/cents';
import { earningsLoader } from './closing-queries.ts';
import type { LiveBalances } from './live-balance.ts';
import { statementLoaders, type StatementLoaders } from './statement-queries.ts';

export interface AccountingContext extends StatementLoaders {
  readonly viewer: Viewer | null;
  /** The company's earnings by day. */
  readonly earnings: Loader<string, Cents>;
}

export interface AccountingServices {
  readonly database: Database;
  readonly live: LiveBalances;
  /** The current business day, `YYYY-MM-DD`. */
  readonly currentDay: () => Promise<string>;
  readonly timeZone: string;
  readonly clock: () => Date;
  /** Signs the links to statements. */
  readonly linkKey: KeyObject;
  /** Lets the robot look whether a day can be closed. */
  readonly closeNow: () => void;
}

/** Who sees more than their own account. */
export const SEES_ALL_ACCOUNTS = ['ACCOUNTANT', 'ADMIN'] as const;

export function accountingContext({ database, currentDay }: AccountingServices, viewer: Viewer | null): AccountingContext {
  return { viewer, ...statementLoaders(database, currentDay), earnings: earningsLoader(database.sql) };
}
