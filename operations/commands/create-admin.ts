import { text } from 'node:stream/consumers';
import { openDatabase } from '../../service-kit/src/database.ts';
import { DomainError } from '../../service-kit/src/domain-error.ts';
import { createLogger } from '../../service-kit/src/logger.ts';
import { createUserCommands } from '../../subgraphs/users/src/user-commands.ts';
import { UserEntity } from '../../subgraphs/users/src/user.entity.ts';
import { type Command, wholeNumber } from '../command.ts';
import { OperationError } from '../errors.ts';
import { databaseVariable } from '../installation.ts';

const MIN_LENGTH = 12;

export const CREATE_ADMIN: Command = {
  name: 'create-admin',
  usage: 'create-admin <email> [--min-length <characters>]',
  summary: 'Makes the first admin of an installation.',
  details: `The password comes from ADMIN_PASSWORD, or else from the standard input:  pass show ates | npm run -s users -- create-admin ann@example.com
Does nothing where there is an active admin already: admins make other admins, by createUser and updateUser.

  --min-length <characters>   what the password needs at least (default ${MIN_LENGTH})`,
  options: { 'min-length': { type: 'string' } },
  words: { min: 1, max: 1 },
  run: async (given, { installation, out }) => {
    const url = installation().databaseUrl('users');
    if (url === undefined) throw new OperationError(`It is not known where Users' database is: set ${databaseVariable('users')}.`);
    const password = process.env['ADMIN_PASSWORD'] ?? (await text(process.stdin)).replace(/\r?\n$/, '');
    const database = await openDatabase({ url, ownerUrl: null, entities: [UserEntity], migrations: [], logger: createLogger('operator', 'silent') });
    try {
      const commands = createUserCommands({ database, passwordMinLength: wholeNumber(given, 'min-length', 1) ?? MIN_LENGTH, clock: () => new Date() });
      const isMade = await commands.createFirstAdmin(given.words[0] ?? '', password);
      if (!isMade) throw new OperationError('There is an active admin already: admins make other admins, by createUser and updateUser.');
      out.line(`${given.words[0]} is an admin now, and can sign in.`);
      return 0;
    } catch (error) {
      if (error instanceof DomainError) throw new OperationError(`${error.message}.`, { cause: error });
      throw error;
    } finally {
      await database.close();
    }
  },
};
