import { Counter, Gauge, type Registry } from '@ates/service-kit/metrics';
import type { CloseRobot } from './close-robot.ts';

/** How the close of days goes, for Prometheus. */
export function registerClosing(registry: Registry, robot: Pick<CloseRobot, 'facts'>): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({ name, help, registers: [registry], collect() { this.set(read()); } });
  };
  gauge('ates_day_close_overdue_seconds', 'How long the next business day has waited for its close beyond what is usual; 0 when it does not', () => robot.facts().overdueSeconds);
  new Counter({
    name: 'ates_days_closed_total',
    help: 'Business days that this replica closed',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(robot.facts().closed);
    },
  });
}
