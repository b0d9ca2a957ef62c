import { describe, expect, it } from 'vitest';
import { KeyValueCache } from '../../../src/serving/key-value-cache.js';
import { tensor } from '../../../src/tensor/index.js';

const config = { layers: 2, keyValueHeads: 1, dHead: 3 };
const parts = ['keys.0', 'values.0', 'keys.1', 'values.1'];

/** Rows of distinct numbers, per part. */
class Recorder {
  /** By part and sequence: everything appended so far. */
  readonly expected = parts.map(() => new Map<number, number[]>());
  #next = 1;

  outputs(sequences: readonly number[], lengths: readonly number[]) {
    const entries = parts.map((part, p) => {
      const rows = sequences.flatMap((sequence, s) => {
        const numbers = Array.from({ length: lengths[s] * 3 }, () => this.#next++);
        this.expected[p].set(sequence, [...(this.expected[p].get(sequence) ?? []), ...numbers]);
        return numbers;
      });
      return [part, tensor('float32', [rows.length / 3, 3], Float32Array.from(rows))] as const;
    });
    return Object.fromEntries(entries);
  }
}

describe('a cache of keys and values', () => {
  it('keeps ragged sequences left-aligned while it grows and sequences leave', () => {
    const recorder = new Recorder();
    const cache = new KeyValueCache(config, 4);
    let sequences = [0, 1, 2, 3];
    const check = () => {
      const feeds = cache.feeds();
      parts.forEach((part, p) => {
        const { data, shape } = feeds[`past.${part}`];
        expect(shape).toEqual([sequences.length, cache.capacity, 3]);
        sequences.forEach((sequence, s) => {
          const row = (data as Float32Array).subarray(s * cache.capacity * 3, (s + 1) * cache.capacity * 3);
          const expected = recorder.expected[p].get(sequence)!;
          const padding = new Array(cache.capacity * 3 - expected.length).fill(0);
          expect(Array.from(row)).toEqual([...expected, ...padding]);
        });
      });
    };
    const append = (lengths: number[]) => {
      cache.append(lengths, recorder.outputs(sequences, lengths));
      check();
    };
    const keep = (indices: number[]) => {
      cache.keep(indices);
      sequences = indices.map((index) => sequences[index]);
      check();
    };
    append([5, 1, 9, 3]);
    keep([0, 2, 3]);
    for (let step = 0; step < 30; step++) append([1, 1, 1]);
    keep([1, 2]);
    for (let step = 0; step < 30; step++) append([1, 1]);
    keep([1]);
    append([40]);
    expect(cache.lengths).toEqual([3 + 60 + 40]);
  });

  it('takes in the sequences of another one, be it wider or narrower', () => {
    const recorder = new Recorder();
    const filled = (sequences: number[], lengths: number[]) => {
      const cache = new KeyValueCache(config, sequences.length);
      cache.append(lengths, recorder.outputs(sequences, lengths));
      return cache;
    };
    const narrow = filled([0, 1], [3, 5]);
    const wide = filled([2, 3], [40, 1]);
    for (const [joined, order] of [
      [narrow.joinedWith(wide), [0, 1, 2, 3]],
      [wide.joinedWith(narrow), [2, 3, 0, 1]],
      [new KeyValueCache(config, 0).joinedWith(narrow), [0, 1]],
    ] as const) {
      const feeds = joined.feeds();
      parts.forEach((part, p) => {
        const { data, shape } = feeds[`past.${part}`];
        expect(shape).toEqual([order.length, joined.capacity, 3]);
        order.forEach((sequence, s) => {
          const expected = recorder.expected[p].get(sequence)!;
          expect(joined.lengths[s]).toBe(expected.length / 3);
          const padding = new Array(joined.capacity * 3 - expected.length).fill(0);
          const row = (data as Float32Array).subarray(s * joined.capacity * 3, (s + 1) * joined.capacity * 3);
          expect(Array.from(row)).toEqual([...expected, ...padding]);
        });
      });
    }
  });

  it('is a rectangle without columns at first', () => {
    const cache = new KeyValueCache(config, 2);
    expect(cache.feeds()['past.keys.0'].shape).toEqual([2, 0, 3]);
  });
});
