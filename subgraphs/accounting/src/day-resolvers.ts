import type { PageArguments } from '@ates/service-kit/connection';
import { DomainError } from '@ates/service-kit/domain-error';
import { withRole } from '@ates/service-kit/viewer';
import { closeByHand } from './close-command.ts';
import { dayClosing, dayClosings, payoutsOf, scheduledRuns, type DayClosingRow, type PayoutRow } from './closing-queries.ts';
import { ledgerAudit } from './ledger-audit.ts';
import { SEES_ALL_ACCOUNTS, type AccountingContext, type AccountingServices } from './accounting-context.ts';

/** Days, payouts, and what the robots did: accountants and admins; closing a day: admins. */
export function dayResolvers({ database, timeZone, clock, currentDay, closeNow }: AccountingServices) {
  const forAccountants =
    <Arguments, Answer>(answer: (given: Arguments, context: AccountingContext) => Answer) =>
    (_: unknown, given: Arguments, context: AccountingContext): Answer => {
      withRole(context.viewer, ...SEES_ALL_ACCOUNTS);
      return answer(given, context);
    };
  return {
    query: {
      companyEarnings: forAccountants(async ({ day }: { day?: string | null }, { earnings }) => earnings.load(day ?? (await currentDay()))),
      dayClosing: forAccountants(({ day }: { day: string }) => dayClosing(database.sql, day)),
      dayClosings: forAccountants((page: PageArguments) => dayClosings(database.sql, page)),
      payouts: forAccountants(({ day, ...page }: PageArguments & { day: string }) => payoutsOf(database.sql, day, page)),
      scheduledRuns: forAccountants((page: PageArguments) => scheduledRuns(database.sql, page)),
      ledgerAudit: forAccountants(() => database.sqlTransaction((sql) => ledgerAudit(sql))),
    },
    mutation: {
      closeDay: async (_: unknown, { day }: { day?: string | null }, { viewer }: AccountingContext) => {
        const { userId: adminId } = withRole(viewer, 'ADMIN');
        const asked = await closeByHand(database, { day: day ?? null, adminId }, { timeZone, clock });
        closeNow();
        const closing = await dayClosing(database.sql, asked);
        if (closing === null) throw new DomainError('INTERNAL', `The closing of ${asked} is not there: ask again`);
        return closing;
      },
    },
    types: {
      DayClosing: {
        status: ({ closedAt }: DayClosingRow) => (closedAt === null ? 'CLOSING' : 'CLOSED'),
        companyEarnings: ({ day, companyEarnings }: DayClosingRow, _: unknown, { earnings }: AccountingContext) => companyEarnings ?? earnings.load(day),
        paidOut: ({ paidOut }: DayClosingRow) => paidOut ?? 0,
        paidEmployees: ({ paidEmployees }: DayClosingRow) => paidEmployees ?? 0,
        carriedOver: ({ carriedOver }: DayClosingRow) => carriedOver ?? 0,
      },
      Payout: {
        account: ({ accountId: id, ownerId }: PayoutRow) => ({ id, ownerId }),
      },
    },
  };
}
