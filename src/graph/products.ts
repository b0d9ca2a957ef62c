/** @file Builders of matrix products and softmaxes. */
import { add, mul } from './elementwise.js';
import { emitOne } from './emit.js';
import type { Value } from './graph.js';

/** How {@link gemm} uses its operands. */
export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
  /** Added to the product; broadcasts to it. */
  readonly bias?: Value;
}

/**
 * `alpha op(A) op(B) + bias` of two matrices, where `op` transposes if asked. Its gradient is one gemm per operand,
 * without any transposition.
 *
 * @param a [rows, inner], or [inner, rows] with transA
 * @param b [inner, columns], or [columns, inner] with transB
 * @returns [rows, columns]
 */
export function gemm(a: Value, b: Value, options: GemmOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1, bias } = options;
  // ONNX stores alpha as float32, so float64 graphs multiply by any other factor separately.
  if (a.dtype === 'float64' && Math.fround(alpha) !== alpha) {
    const scaled = mul(gemm(a, b, { transA, transB }), alpha);
    return bias === undefined ? scaled : add(scaled, bias);
  }
  return emitOne('gemm', bias === undefined ? [a, b] : [a, b, bias], { transA, transB, alpha });
}

/** How {@link matMul} uses its operands. */
export interface MatMulOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/**
 * `op(A) op(B)` over the last two axes; the axes before them broadcast. If an operand is a transposition of the last
 * two axes, a flag replaces it, so that neither the product nor its gradient moves elements.
 *
 * @param a [..., rows, inner], or [..., inner, rows] with transA
 * @param b [..., inner, columns], or [..., columns, inner] with transB
 * @returns [..., rows, columns]
 */
export function matMul(a: Value, b: Value, options: MatMulOptions = {}): Value {
  const left = withoutTransposition(a, options.transA ?? false);
  const right = withoutTransposition(b, options.transB ?? false);
  return emitOne('matMul', [left.operand, right.operand], { transA: left.transposed, transB: right.transposed });
}

function withoutTransposition(operand: Value, transposed: boolean): { operand: Value; transposed: boolean } {
  const node = operand.graph.producer(operand);
  if (node === undefined || node.operator !== 'transpose' || !('permutation' in node.attributes)) {
    return { operand, transposed };
  }
  const rank = operand.shape.length;
  const swapped = [...Array(Math.max(rank - 2, 0)).keys(), rank - 1, rank - 2];
  const swapsLastTwo = rank >= 2 && node.attributes.permutation.every((axis, index) => axis === swapped[index]);
  return swapsLastTwo ? { operand: node.inputs[0]!, transposed: !transposed } : { operand, transposed };
}

/** `eˣ / Σ eˣ` over the last axis */
export const softmax = (x: Value): Value => emitOne('softmax', [x], {});
/** `x - log Σ eˣ` over the last axis */
export const logSoftmax = (x: Value): Value => emitOne('logSoftmax', [x], {});
