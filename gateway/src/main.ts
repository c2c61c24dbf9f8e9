import { ConfigurationError } from '@ates/service-kit/env';
import { createLogger } from '@ates/service-kit/logger';
import { runService } from '@ates/service-kit/run-service';
import { readCommand, type Command } from './cli.ts';

const command = commandOrEnd();
if (command.kind === 'tell') {
  process.stdout.write(command.text);
} else {
  const { config } = command;
  const logger = createLogger('gateway', config.logLevel);
  runService(logger, async (lifecycle) => {
    // What takes a while to load is not needed to tell the options, nor what is wrong with them.
    const { startGateway } = await import('./gateway.ts');
    const { port } = await startGateway(config, logger, lifecycle);
    const address = config.host.includes(':') ? `[${config.host}]` : config.host;
    logger.info({ supergraph: config.supergraphFile }, `GraphQL is served at http://${address}:${port}/graphql`);
  });
}

function commandOrEnd(): Command {
  try {
    return readCommand(process.argv.slice(2), process.env);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(1);
  }
}
