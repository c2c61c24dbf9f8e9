import { dateIn } from '@ates/service-kit/calendar';
import type { Database } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import type { ClosingOptions } from './closing.ts';
import { nextDayToClose, requestClose } from './day-register.ts';

/**
 * Lets a day be closed by hand: today, which then ends early, or one whose close is late. Asking again changes nothing.
 * @param day `YYYY-MM-DD`; null for today
 * @returns the day
 * @throws DomainError BAD_USER_INPUT for a day that has not begun, or that is none of this calendar's
 */
export async function closeByHand(database: Database, { day: asked, adminId }: { readonly day: string | null; readonly adminId: string }, { timeZone, clock }: ClosingOptions): Promise<string> {
  const now = clock();
  const today = await dateIn(database.sql, timeZone, now);
  const day = asked ?? today;
  if (day > today) throw new DomainError('BAD_USER_INPUT', `${day} has not begun: today is ${today} (${timeZone}), close a day once it has begun`);
  await database.sqlTransaction(async (sql) => {
    const [known] = await sql<{ closed: boolean }>('select closed_at is not null as closed from day_closings where day = $1', [day]);
    if (known?.closed === true) return;
    const first = (await nextDayToClose(sql, { timeZone, now }))?.day ?? today;
    const [calendar] = await sql<{ exists: boolean }>(`select next_business_day($1::date - 1, $2) = $1 as exists`, [day, timeZone]);
    if (day < first || calendar?.exists !== true) throw new DomainError('BAD_USER_INPUT', `${day} is no business day that can be closed: the next one is ${first}`);
    await requestClose(sql, { day, requestedBy: adminId, at: now });
  });
  return day;
}
