import { readEnv, timeZone, wholeNumber } from '@ates/service-kit/env';
import { producerEnv, subgraphEnv } from '@ates/service-kit/subgraph-env';

/** The configuration of Accounting; every variable with its meaning. */
export function readAccountingConfig() {
  return readEnv({
    ...subgraphEnv,
    ...producerEnv,
    DAY_CLOSE_ALARM_AFTER_MINUTES: wholeNumber(1)({ default: 10, desc: 'how long an ended day may wait for its close until that is an alarm' }),
    BUSINESS_TIME_ZONE: timeZone({ default: 'UTC', desc: 'the IANA time zone whose calendar dates are the business days' }),
  });
}
