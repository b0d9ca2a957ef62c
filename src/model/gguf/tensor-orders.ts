/** @file Restores the order of a tensor's elements that llama.cpp's converter changed. */

/** A tensor's elements with their shape. */
interface Elements {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** An order of elements: from a GGUF tensor to the Hugging Face one. */
export interface TensorOrder {
  shape(stored: readonly number[]): readonly number[];
  values(stored: Elements): Float32Array;
}

/** The order is the same in both. */
export const sameOrder: TensorOrder = { shape: (stored) => stored, values: ({ values }) => values };

/** From [out, in] to the [in, out] of GPT-2's Conv1D. Biases stay as they are. */
export const transposed: TensorOrder = {
  shape: (stored) => stored.toReversed(),
  values: ({ shape, values }) => {
    const [rows, columns = 1] = shape as [number, number?];
    const turned = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!;
    }
    return turned;
  },
};

/**
 * Rotary pairs of query and key rows: llama.cpp stores each head's pairs next to each other, (0, 1), (2, 3), ...;
 * Hugging Face pairs row j with row j + dHead/2.
 */
export function rotaryHalves(heads: number): TensorOrder {
  return reorderedRows((row, rows) => {
    const dHead = rows / heads;
    const inHead = row % dHead;
    return row - inHead + 2 * (inHead % (dHead / 2)) + Math.floor(inHead / (dHead / 2));
  });
}

/**
 * Joint q-k-v rows: GGUF has all queries, all keys, all values; GPT-NeoX has query, key and value of each head in turn.
 */
export function interleavedHeads(heads: number): TensorOrder {
  return reorderedRows((row, rows) => {
    const dHead = rows / (3 * heads);
    const head = Math.floor(row / (3 * dHead));
    const part = Math.floor(row / dHead) % 3;
    return (part * heads + head) * dHead + (row % dHead);
  });
}

function reorderedRows(sourceRow: (row: number, rows: number) => number): TensorOrder {
  const reorder = ({ shape, values }: Elements) => {
    const rows = shape[0]!;
    const width = values.length / rows;
    const ordered = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      const begin = sourceRow(row, rows) * width;
      ordered.set(values.subarray(begin, begin + width), row * width);
    }
    return ordered;
  };
  return { shape: (stored) => stored, values: reorder };
}
