import { rotateKeys } from '../../subgraphs/users/src/keys.ts';
import type { Command } from '../command.ts';
import { withDatabases } from '../connections.ts';

export const ROTATE_KEYS: Command = {
  name: 'rotate-keys',
  usage: 'rotate-keys [--now]',
  summary: 'Makes a new key to sign access tokens; the old ones go when nothing that they signed is valid any more.',
  details: `  --now   when somebody may have a private key: the new one signs at once, and what the others signed is refused within 2 s.
          Nobody has to sign in again: clients renew their sessions as they do every five minutes.

Without --now the new key is published at once and signs after 15 minutes, so that every service knows it by then.`,
  options: { now: { type: 'boolean' } },
  words: { min: 0, max: 0 },
  run: ({ options }, { installation, out }) =>
    withDatabases(installation(), ['users'], async ([database]) => {
      if (database === undefined) return 1;
      const immediately = options['now'] === true;
      const sql = Object.assign(database.rows, { later: async (text: string, params?: readonly unknown[]) => void (await database.rows(text, params)) });
      const kid = await database.transaction(() => rotateKeys(sql, { immediately }));
      out.line(immediately ? `${kid} signs from now on; what other keys signed is refused.` : `${kid} signs in 15 minutes; the others are gone 10 minutes later.`);
      return 0;
    }),
};
