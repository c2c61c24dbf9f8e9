import { readEnv, timeZone } from '@ates/service-kit/env';
import { subgraphEnv } from '@ates/service-kit/subgraph-env';

/** The configuration of Accounting; every variable with its meaning. */
export function readAccountingConfig() {
  return readEnv({
    ...subgraphEnv,
    BUSINESS_TIME_ZONE: timeZone({ default: 'UTC', desc: 'the IANA time zone whose calendar dates are the business days' }),
  });
}
