import { createLogger } from '@ates/service-kit/logger';
import { runService } from '@ates/service-kit/run-service';
import { readConfig } from './config.ts';
import { startGateway } from './gateway.ts';

const config = readConfig();
const logger = createLogger('gateway', config.logLevel);

runService(logger, async (lifecycle) => {
  await startGateway(config, logger, lifecycle);
});
