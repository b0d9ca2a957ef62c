import type { ModelConfig } from '../model/index.js';
import { type Tensor, tensor } from '../tensor/index.js';

/** The rectangle of earlier tokens grows by this many columns at a time. */
const columnStep = 32;

type CacheConfig = Pick<ModelConfig, 'layers' | 'keyValueHeads' | 'dHead'>;

/**
 * Attention keys and values of the earlier tokens of a batch of sequences. Each layer has one rectangle
 * [batch, capacity, width] with left-aligned sequences. Places beyond a sequence's length are zero and masked out.
 */
export class KeyValueCache {
  readonly #width: number;
  readonly #parts: readonly string[];
  readonly #config: CacheConfig;
  #rectangles: Float32Array[];
  #lengths: number[];
  #capacity = 0;

  constructor(config: CacheConfig, batch: number) {
    this.#config = config;
    this.#width = config.keyValueHeads * config.dHead;
    this.#parts = Array.from({ length: config.layers }, (_, layer) => [`keys.${layer}`, `values.${layer}`]).flat();
    this.#rectangles = this.#parts.map(() => new Float32Array(0));
    this.#lengths = new Array(batch).fill(0);
  }

  /** Tokens behind each sequence. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** Width of the rectangle in tokens, at least the longest length. */
  get capacity(): number {
    return this.#capacity;
  }

  /** `past.keys.<layer>`, `past.values.<layer>`: [batch, capacity, width]. Valid until the next change. */
  feeds(): Record<string, Tensor> {
    const shape = [this.#lengths.length, this.#capacity, this.#width];
    const entries = this.#parts.map((part, i) => [`past.${part}`, tensor('float32', shape, this.#rectangles[i])]);
    return Object.fromEntries(entries);
  }

  /**
   * Adds new tokens to every sequence.
   *
   * @param lengths how many each sequence gets
   * @param outputs `keys.<layer>`, `values.<layer>`: [rows, width], sequences end to end
   */
  append(lengths: readonly number[], outputs: Readonly<Record<string, Tensor>>): void {
    const after = this.#lengths.map((length, b) => length + lengths[b]);
    this.#reserve(Math.max(...after));
    this.#parts.forEach((part, i) => {
      const rows = outputs[part].data as Float32Array;
      let row = 0;
      this.#lengths.forEach((length, b) => {
        const added = rows.subarray(row * this.#width, (row + lengths[b]) * this.#width);
        this.#rectangles[i].set(added, (b * this.#capacity + length) * this.#width);
        row += lengths[b];
      });
    });
    this.#lengths = after;
  }

  /** Drops all sequences but these (ascending indices). */
  keep(indices: readonly number[]): void {
    if (indices.length === this.#lengths.length) return;
    const size = this.#capacity * this.#width;
    this.#rectangles = this.#rectangles.map((rectangle) => {
      indices.forEach((from, to) => {
        rectangle.copyWithin(to * size, from * size, (from + 1) * size);
      });
      return rectangle.subarray(0, indices.length * size);
    });
    this.#lengths = indices.map((index) => this.#lengths[index]);
  }

  /** A cache of this one's sequences and then the other's. */
  joinedWith(other: KeyValueCache): KeyValueCache {
    const joined = new KeyValueCache(this.#config, 0);
    joined.#lengths = [...this.#lengths, ...other.#lengths];
    joined.#capacity = Math.max(this.#capacity, other.#capacity);
    joined.#rectangles = this.#rectangles.map((rectangle, i) => {
      const wide = new Float32Array(joined.#lengths.length * joined.#capacity * this.#width);
      copyRows(rectangle, this.#rowSize, wide, joined.#rowSize);
      copyRows(
        other.#rectangles[i],
        other.#rowSize,
        wide.subarray(this.#lengths.length * joined.#rowSize),
        joined.#rowSize,
      );
      return wide;
    });
    return joined;
  }

  get #rowSize(): number {
    return this.#capacity * this.#width;
  }

  #reserve(tokens: number): void {
    if (tokens <= this.#capacity) return;
    const before = this.#rowSize;
    this.#capacity = Math.ceil(tokens / columnStep) * columnStep;
    this.#rectangles = this.#rectangles.map((rectangle) => {
      const grown = new Float32Array(this.#lengths.length * this.#rowSize);
      copyRows(rectangle, before, grown, this.#rowSize);
      return grown;
    });
  }
}

/** Copies rows of one size to the beginnings of rows that are at least as long. */
function copyRows(from: Float32Array, fromSize: number, to: Float32Array, toSize: number): void {
  for (let row = 0; row * fromSize < from.length; row++) {
    to.set(from.subarray(row * fromSize, (row + 1) * fromSize), row * toSize);
  }
}
