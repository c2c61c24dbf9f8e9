import { ConfigurationError, makeValidator, readEnv, str, timeZone, wholeNumber } from '@ates/service-kit/env';
import { producerEnv, subgraphEnv } from '@ates/service-kit/subgraph-env';
import { readSender } from './mail-transport.ts';

const sender = makeValidator<string>((input) => {
  readSender(input);
  return input;
});

/** The configuration of Accounting; every variable with its meaning. */
export function readAccountingConfig() {
  const config = readEnv({
    ...subgraphEnv,
    ...producerEnv,
    DAY_CLOSE_ALARM_AFTER_MINUTES: wholeNumber(1)({ default: 10, desc: 'how long an ended day may wait for its close until that is an alarm' }),
    MAIL_FROM: sender({ default: 'aTES <no-reply@ates.test>', desc: 'who mails are from; its domain makes their Message-IDs' }),
    SMTP_URL: str({ default: undefined, desc: 'smtp://user:password@host:25 or smtps://host: where mails go; or MAIL_DIR' }),
    MAIL_DIR: str({ default: undefined, desc: 'a folder that gets each mail as a file, in place of SMTP_URL' }),
    BUSINESS_TIME_ZONE: timeZone({ default: 'UTC', desc: 'the IANA time zone whose calendar dates are the business days' }),
  });
  if ((config.SMTP_URL === undefined) === (config.MAIL_DIR === undefined)) {
    throw new ConfigurationError('Where mails go is not clear: set SMTP_URL to have them sent, or MAIL_DIR to have them kept as files, and not both');
  }
  return config;
}
