import { statSync } from 'node:fs';

const LOOK_EVERY_MS = 500;

/**
 * Calls `onChange` within half a second of a change to the file (edited, replaced by a rename or through a link, or removed) since this was
 * called: call it before the file is read. The file is looked at by its name: that works on mounted and on linked files, where change notices don't.
 * @returns how to stop.
 */
export function watchFile(path: string, onChange: () => void): () => void {
  let version = versionOf(path);
  const looking = setInterval(() => {
    const found = versionOf(path);
    if (found === version) return;
    version = found;
    onChange();
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(looking);
}

function versionOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}
