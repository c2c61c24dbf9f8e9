import type { Logger } from '@ates/service-kit/logger';
import type { DocumentNode, GraphQLError } from 'graphql';
import { createBoundedCache } from '../bounded-cache.ts';
import { watchFile } from '../file-watch.ts';
import { limitError } from './limit-error.ts';
import { EMPTY_MANIFEST, fingerprintOf, readManifest, type SafelistManifest } from './safelist-manifest.ts';

export type SafelistMode = 'off' | 'log' | 'enforce';

export interface SafelistSettings {
  readonly safelist: SafelistMode;
  /** Needed unless off; looked at again when it changes. With `off` its documents can still be run by their ids. */
  readonly safelistFile: string | undefined;
}

/** The operations that clients were built with. */
export interface Safelist {
  readonly mode: SafelistMode;
  /** The document with this id, undefined when the list has none. */
  find(id: string): string | undefined;
  /**
   * Whether a document may run: in `enforce` a listed one only; in `log` any, and one that is not listed is told once. Formatting,
   * comments, the order of definitions and `__typename` make no difference. Fast for a text that was asked for before: ask for each request,
   * the list may have changed.
   * @param document the same, parsed. @returns the refusal, BAD_USER_INPUT with the reason OPERATION_NOT_SAFELISTED, or null.
   */
  check(query: string, document: DocumentNode): GraphQLError | null;
  /** BAD_USER_INPUT with the reason PERSISTED_QUERY_NOT_IN_LIST: for an id that `find` does not know, in `enforce`. */
  unknownId(id: string): GraphQLError;
  /** Requests so far whose document was not listed, in `log` and `enforce`. */
  unlisted(): number;
  stop(): void;
}

/** Texts whose outcome is remembered. */
const CHECKED_MAX = 2_000;
/** Unlisted documents that are remembered as told. */
const TOLD_MAX = 1_000;
const MEND = 'build the manifest anew from the client’s operations and deploy it with the gateway';

/**
 * Reads the safelist, and again within half a second of a change of its file: a bad one is logged and the one in force stays.
 * @throws Error that names the file when it can't be used at the start.
 */
export function createSafelist({ safelist: mode, safelistFile }: SafelistSettings, logger: Logger): Safelist {
  const checked = createBoundedCache<'listed' | 'unlisted'>(CHECKED_MAX);
  const told = createBoundedCache<true>(TOLD_MAX);
  const stop = safelistFile === undefined ? () => {} : watchFile(safelistFile, () => reload());
  let manifest = read(mode, safelistFile);
  let unlisted = 0;

  const reload = (): void => {
    try {
      manifest = read(mode, safelistFile);
      checked.clear();
      logger.info({ operations: manifest.byId.size }, 'the safelist changed and was loaded');
    } catch (error) {
      logger.error({ err: error }, 'the safelist changed and cannot be used, the one before stays in force: build the manifest anew');
    }
  };

  const isListed = (query: string, document: DocumentNode): boolean => {
    let outcome = checked.get(query);
    if (outcome === undefined) {
      outcome = manifest.fingerprints.has(fingerprintOf(document)) ? 'listed' : 'unlisted';
      checked.set(query, outcome);
    }
    return outcome === 'listed';
  };
  const tellOnce = (document: DocumentNode): void => {
    const fingerprint = fingerprintOf(document);
    if (told.get(fingerprint) === true) return;
    told.set(fingerprint, true);
    logger.warn({ fingerprint, operations: namesIn(document) }, `an operation is not in the safelist: ${MEND}`);
  };

  return {
    mode,
    find: (id) => manifest.byId.get(id),
    check: (query, document) => {
      if (mode === 'off' || isListed(query, document)) return null;
      unlisted += 1;
      if (mode === 'enforce') return limitError(`This gateway runs listed operations only, and this one is not in its safelist: ${MEND}`, { reason: 'OPERATION_NOT_SAFELISTED' });
      tellOnce(document);
      return null;
    },
    unknownId: (id) => {
      unlisted += 1;
      const shown = id.length <= 80 ? id : `${id.slice(0, 80)}…`;
      return limitError(`There is no operation with the id "${shown}" in the safelist of this gateway: ${MEND}`, { reason: 'PERSISTED_QUERY_NOT_IN_LIST' });
    },
    unlisted: () => unlisted,
    stop,
  };
}

function read(mode: SafelistMode, file: string | undefined): SafelistManifest {
  if (file !== undefined) return readManifest(file);
  if (mode === 'off') return EMPTY_MANIFEST;
  throw new Error(`The safelist is to ${mode}, but there is no file of operations: set SAFELIST_FILE, or SAFELIST=off`);
}

function namesIn({ definitions }: DocumentNode): string[] {
  return definitions.flatMap((definition) => (definition.kind === 'OperationDefinition' ? [definition.name?.value ?? '(without a name)'] : []));
}
