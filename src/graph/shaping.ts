/** @file Builders of operators that rearrange elements, and of shapes known only at run time. */
import { InvalidInputError } from '../errors.js';
import { tensor } from '../tensor/index.js';
import { addDims, type Dim, multiplyDims, normalizeAxis, normalizeDim, parseDim, sameShape } from './dim.js';
import { add, cast, mul } from './elementwise.js';
import { emitOne } from './emit.js';
import type { Graph, Value } from './graph.js';
import { reduceSum } from './reductions.js';
import { describeValue, isFloat } from './requirements.js';

/**
 * Values laid end to end along an axis. Its gradient is one slice per value.
 *
 * @returns sizes along the axis added up: `'prefix'` and `'suffix'` give `'prefix+suffix'`
 */
export function concat(values: readonly Value[], axis: number): Value {
  const first = values[0];
  if (first === undefined) throw new InvalidInputError('concat', 'at least one value', 'none');
  const positive = normalizeAxis('concat', axis, first.shape.length);
  return values.length === 1 ? first : emitOne('concat', values, { axis: positive });
}

/**
 * The elements from `start` up to `end` (left out: all from start on) along an axis. Negative numbers count from the
 * end; symbols are sizes of this graph, known at run time.
 */
export function slice(x: Value, axis: number, start: Dim, end?: Dim): Value {
  const index = normalizeAxis('slice', axis, x.shape.length);
  const size = x.shape[index]!;
  const fromFront = (bound: Dim) =>
    typeof bound === 'number' && bound < 0 ? addDims([size, 1], [bound, 1]) : normalizeDim(bound);
  const from = fromFront(start);
  const to = end === undefined ? size : fromFront(end);
  if (from === 0 && to === size) return x;
  const first = typeof start === 'number' ? start : from;
  const last = end === undefined || to === size ? Number.MAX_SAFE_INTEGER : typeof end === 'number' ? end : to;
  const attributes = { axis: index, start: from, end: to };
  if (typeof first === 'number' && typeof last === 'number') {
    return emitOne('slice', [x], { ...attributes, bounds: [first, last] });
  }
  return emitOne('slice', [x, sizeValue(x.graph, first), sizeValue(x.graph, last)], { ...attributes, bounds: null });
}

/** The elements of x along an axis after the first `like.shape[likeAxis]`: the second part of a concatenation. */
export function sliceAfter(x: Value, axis: number, like: Value, likeAxis: number): Value {
  return slice(x, axis, like.shape[normalizeAxis('sliceAfter', likeAxis, like.shape.length)]!);
}

/**
 * The same elements under another shape. Symbols may be products (`'batch*tokens'`). The result declares a bare symbol
 * that x does not have; its size is checked at run time.
 *
 * @throws {InvalidInputError} if the element counts differ
 */
export function reshape(x: Value, shape: readonly Dim[]): Value {
  const wanted = shape.map(normalizeDim);
  if (sameShape(x.shape, wanted)) return x;
  const target = staticReshapeTarget(x.shape, wanted);
  const result =
    target === null
      ? emitOne('reshape', [x, shapeValue(x.graph, wanted)], { shape: wanted, target })
      : emitOne('reshape', [x], { shape: wanted, target });
  x.graph.declareSymbols(result);
  return result;
}

/** The shape as in ONNX, 0 for "as in the input" and one -1 for "the rest"; null if it cannot be written that way. */
function staticReshapeTarget(from: readonly Dim[], to: readonly Dim[]): readonly number[] | null {
  const target = to.map((dim, axis) => (typeof dim === 'number' ? dim : dim === from[axis] ? 0 : -1));
  const says = target.filter((size) => size === -1).length <= 1 && !to.includes(0);
  return says ? target : null;
}

/** x without the given axes of size 1. */
export function squeeze(x: Value, axes: readonly number[]): Value {
  return emitOne('squeeze', [x], { axes: axes.map((axis) => normalizeAxis('squeeze', axis, x.shape.length)) });
}

/** x with new axes of size 1, at these places of the result. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  const rank = x.shape.length + axes.length;
  return emitOne('unsqueeze', [x], { axes: axes.map((axis) => normalizeAxis('unsqueeze', axis, rank)) });
}

/** x with its axes in another order: axis `i` of the result is axis `permutation[i]` of x. */
export const transpose = (x: Value, permutation: readonly number[]): Value =>
  emitOne('transpose', [x], { permutation });

/** x repeated along axes of size 1, and along new leading axes, up to a shape. */
export function expand(x: Value, shape: readonly Dim[]): Value {
  const wanted = shape.map(normalizeDim);
  if (sameShape(x.shape, wanted)) return x;
  const offset = wanted.length - x.shape.length;
  // Expand broadcasts, so 1 stands for a size that x already has, and needs no look-up at run time.
  const sizes = wanted.map((dim, axis) => (dim === x.shape[axis - offset] ? 1 : dim));
  const target = sizes.filter((dim) => typeof dim === 'number');
  return target.length === sizes.length
    ? emitOne('expand', [x], { shape: wanted, target })
    : emitOne('expand', [x, shapeValue(x.graph, sizes)], { shape: wanted, target: null });
}

/** Zeros of a shape, in the dtype of another value. */
export function zeros(like: Value, shape: readonly Dim[]): Value {
  if (like.dtype !== 'float32' && like.dtype !== 'float64') {
    throw new InvalidInputError('zeros', 'a float dtype', describeValue(like));
  }
  const { graph, dtype } = like;
  return graph.once(`zeros ${dtype} ${shape}`, () => expand(graph.scalar(0, dtype), shape));
}

/** Zeros of the shape and dtype of another value. */
export const zerosLike = (like: Value): Value => zeros(like, like.shape);

/** A product of sizes as a scalar of another value's float dtype. */
export function sizeAsFloat(dims: readonly Dim[], like: Value): Value {
  const size = multiplyDims(dims);
  if (like.dtype !== 'float32' && like.dtype !== 'float64') {
    throw new InvalidInputError('sizeAsFloat', 'a float dtype', describeValue(like));
  }
  if (typeof size === 'number') return like.graph.scalar(size, like.dtype);
  return squeeze(cast(sizeValue(like.graph, size), like.dtype), [0]);
}

/** A gradient summed over the axes along which a value of this shape was broadcast. */
export function unbroadcast(gradient: Value, shape: readonly Dim[]): Value {
  const leading = gradient.shape.length - shape.length;
  const stretched = shape.flatMap((dim, axis) => (dim === 1 && gradient.shape[axis + leading] !== 1 ? [axis] : []));
  let result = gradient;
  if (leading > 0) result = reduceSum(result, [...Array(leading).keys()]);
  return stretched.length > 0 ? reduceSum(result, stretched, { keepDims: true }) : result;
}

/** The sum of gradients that reach one value on several paths. */
export function accumulate(gradients: readonly Value[]): Value {
  return gradients.reduce((total, gradient) => add(total, gradient));
}

/** Whether gradients can flow through a value. */
export const isDifferentiable = (value: Value): boolean => isFloat(value.dtype);

function shapeValue(graph: Graph, shape: readonly Dim[]): Value {
  return graph.once(`shape ${shape}`, () => {
    const sizes = shape.map((dim) => sizeValue(graph, dim));
    return concat(sizes, 0);
  });
}

/** A size as int64 [1], read at run time from the values that declare its symbols. */
function sizeValue(graph: Graph, dim: Dim): Value {
  return graph.once(`size ${dim}`, () => {
    const terms = [...parseDim(dim)].map(([monomial, coefficient]) => termValue(graph, monomial, coefficient));
    return terms.length === 0 ? integer(graph, 0) : terms.reduce((sum, term) => add(sum, term));
  });
}

function termValue(graph: Graph, monomial: string, coefficient: number): Value {
  const symbols = monomial.split('*').filter((name) => name !== '');
  const factors = symbols.map((symbol) => graph.once(`symbol ${symbol}`, () => symbolValue(graph, symbol)));
  if (coefficient !== 1 || factors.length === 0) factors.unshift(integer(graph, coefficient));
  return factors.reduce((product, factor) => mul(product, factor));
}

function integer(graph: Graph, value: number): Value {
  return graph.constant(tensor('int64', [1], BigInt64Array.of(BigInt(value))));
}

/** @throws {InvalidInputError} if nothing in the graph declares the symbol */
function symbolValue(graph: Graph, symbol: string): Value {
  const source = graph.symbolSource(symbol);
  if (source === undefined) {
    throw new InvalidInputError(`size '${symbol}'`, 'declared by an input or a reshape of this graph', 'no such');
  }
  return emitOne('sizeOf', [source.value], { axis: source.axis });
}
