import { Counter, Gauge, type Registry } from '@ates/service-kit/metrics';
import type { CloseRobot } from './close-robot.ts';
import type { Sealing } from './sealing.ts';

/** How the close of days and the sealing of entries go, for Prometheus. */
export function registerClosing(registry: Registry, { closing, sealing }: { readonly closing: Pick<CloseRobot, 'facts'>; readonly sealing: Pick<Sealing, 'facts'> }): void {
  const metric = (Kind: typeof Gauge | typeof Counter, name: string, help: string, read: () => number): void => {
    const made: Gauge | Counter = new Kind({
      name,
      help,
      registers: [registry],
      collect: () => {
        made.reset();
        made.inc(read());
      },
    });
  };
  metric(Gauge, 'ates_day_close_overdue_seconds', 'How long the next business day has waited for its close beyond what is usual; 0 when it does not', () => closing.facts().overdueSeconds);
  metric(Counter, 'ates_days_closed_total', 'Business days that this replica closed', () => closing.facts().closed);
  metric(Counter, 'ates_sealed_entries_total', 'Entries that this replica sealed', () => sealing.facts().sealed);
  metric(Gauge, 'ates_unsealed_entries', 'Entries that were not sealed when this replica looked last', () => sealing.facts().behind);
  metric(Gauge, 'ates_seal_refusals', 'Accounts that can not be sealed any further because their rows contradict one another', () => sealing.facts().refused);
}
