import type { Command } from '../command.ts';
import { withDatabases } from '../connections.ts';
import { moment, tableLines } from '../output.ts';

interface KeyRow {
  readonly kid: string;
  readonly created_at: Date;
  readonly signs_from: Date;
  readonly retires_at: Date | null;
  readonly signs: boolean;
}

export const KEYS: Command = {
  name: 'keys',
  usage: 'keys',
  summary: 'Lists the keys that sign access tokens.',
  details: 'Times are in UTC. Users makes a new key every KEY_ROTATION_DAYS (30) by itself; see rotate-keys.',
  options: {},
  words: { min: 0, max: 0 },
  run: (_given, { installation, out }) =>
    withDatabases(installation(), ['users'], async ([database]): Promise<0> => {
      const keys = await database?.rows<KeyRow>(
        `select kid, created_at, signs_from, retires_at, kid = (
           select kid from signing_keys where signs_from <= now() and (retires_at is null or retires_at > now()) order by signs_from desc, created_at desc limit 1
         ) as signs from signing_keys where retires_at is null or retires_at > now() order by signs_from`,
      );
      const rows = (keys ?? []).map(({ kid, created_at, signs_from, retires_at, signs }) => [
        kid,
        signs ? 'signs' : signs_from > new Date() ? `signs from ${moment(signs_from)}` : 'signed before',
        moment(created_at),
        retires_at === null ? '' : moment(retires_at),
      ]);
      for (const line of tableLines([{ title: 'KEY' }, { title: 'STATE' }, { title: 'MADE AT' }, { title: 'GONE AT' }], rows)) out.line(line);
      return 0;
    }),
};
