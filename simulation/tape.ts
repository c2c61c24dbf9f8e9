/** Decisions that were made in advance. One that is read to its end decides 0 for ever: the harmless choice, everywhere. */
export class Tape {
  #place = 0;
  readonly #bytes: ArrayLike<number>;

  constructor(bytes: ArrayLike<number>) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.#place >= this.#bytes.length;
  }

  /** A whole number from 0 to `count` - 1. @param count at most 256 */
  choose(count: number): number {
    if (count <= 1) return 0;
    return (this.#bytes[this.#place++] ?? 0) % count;
  }

  /** True once in `often` times. */
  happens(often: number): boolean {
    return this.choose(often) === often - 1;
  }
}
