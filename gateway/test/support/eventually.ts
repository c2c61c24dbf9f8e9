const DEADLINE_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/** Resolves with what `look` returns as soon as that is not undefined or false; fails after 10 s, naming what was awaited. */
export async function eventually<Value>(what: string, look: () => Value | undefined | false | Promise<Value | undefined | false>): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`This did not happen within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
