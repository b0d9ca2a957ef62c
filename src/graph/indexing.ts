/** @file Builders of operators that read and add at computed positions. */
import { multiplyDims, normalizeAxis } from './dim.js';
import { emitOne } from './emit.js';
import type { Value } from './graph.js';
import { expand, reshape } from './shaping.js';

/**
 * Rows of a table: `y[i..., :] = table[indices[i...], :]`. Its gradient adds rows into zeros of the table's shape.
 *
 * @param table   [n, ...]
 * @param indices int64 of any rank; negative ones count from the end
 * @returns indices.shape ++ table.shape without its first axis
 */
export const gather = (table: Value, indices: Value): Value => emitOne('gather', [table, indices], {});

/** Whether the inverse of {@link takeRows} is `-1` for some rows. */
export interface TakeRowsOptions {
  readonly partial?: boolean;
}

/**
 * {@link gather} of the rows of a matrix along an index whose inverse is known, which makes the gradient a gather too:
 * `dx[r] = dy[inverse[r]]`. It lays ragged rows out as a padded rectangle and takes them back.
 *
 * The gradient is exact if row `r` of x stands in the flattened result at `inverse[r]`, and every other place of the
 * result has zero gradient (masked padding). With `partial`, `inverse[r] = -1` says that row `r` is taken nowhere; its
 * gradient is zero.
 *
 * @param x       [n, d]
 * @param index   int64 of any rank: the row of x at each place of the result
 * @param inverse int64 [n]: for each row of x, its place in the flattened result
 * @returns index.shape ++ [d]
 */
export const takeRows = (x: Value, index: Value, inverse: Value, options: TakeRowsOptions = {}): Value =>
  emitOne('takeRows', [x, index, inverse], { partial: options.partial ?? false });

/**
 * Elements along an axis (by default the last): `y[..., j] = x[..., indices[..., j]]`. Its gradient adds
 * elements into zeros.
 *
 * @param x       [..., n]
 * @param indices int64 [..., k]
 * @returns [..., k]
 */
export const gatherElements = (x: Value, indices: Value, axis = -1): Value =>
  emitOne('gatherElements', [x, indices], { axis: normalizeAxis('gatherElements', axis, x.shape.length) });

/**
 * Base with elements added along an axis (by default the last). Indices may repeat:
 * `y[..., indices[..., j]] += updates[..., j]`.
 *
 * @param base    [..., n]
 * @param indices int64 [..., k]
 * @param updates [..., k]
 */
export const scatterElementsAdd = (base: Value, indices: Value, updates: Value, axis = -1): Value =>
  emitOne('scatterElementsAdd', [base, indices, updates], {
    axis: normalizeAxis('scatterElementsAdd', axis, base.shape.length),
  });

/**
 * Base with rows added at indices, which may repeat: `y[indices[i...]] += updates[i...]`.
 *
 * @param base    [n, ...]
 * @param indices int64 of any rank
 * @param updates indices.shape ++ base.shape without its first axis
 */
export function scatterRowsAdd(base: Value, indices: Value, updates: Value): Value {
  const row = base.shape.slice(1);
  const count = multiplyDims(indices.shape);
  const column = reshape(indices, [count, ...row.map(() => 1)]);
  return scatterElementsAdd(base, expand(column, [count, ...row]), reshape(updates, [count, ...row]), 0);
}
