import { readEnv, timeZone } from '@ates/service-kit/env';
import { producerEnv, subgraphEnv } from '@ates/service-kit/subgraph-env';

/** The configuration of Accounting; every variable with its meaning. */
export function readAccountingConfig() {
  return readEnv({
    ...subgraphEnv,
    ...producerEnv,
    BUSINESS_TIME_ZONE: timeZone({ default: 'UTC', desc: 'the IANA time zone whose calendar dates are the business days' }),
  });
}
