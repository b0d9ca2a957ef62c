/** @file Counting arithmetic: the one place where FLOPs come from. */
import { type Dim, evaluateDim, type Graph, isSymbol } from '../../src/graph/index.js';
import { liveParts } from '../../src/graph/live-nodes.js';
import type { ProgramInput } from '../../src/runtime/index.js';
import type { Tensor } from '../../src/tensor/index.js';

/**
 * FLOPs of all matrix products `[rows, inner] x [inner, columns]` that a graph's outputs need, forward and backward:
 *
 *     Σ 2 · rows · inner · columns
 *
 * Attention's batched products are left out: their rectangle holds padding, which is no useful work. So this is a lower
 * bound, a few percent under what is really computed.
 *
 * @param sizes of the graph's symbols
 */
export function gemmFlops(graph: Graph, sizes: ReadonlyMap<string, number>): number {
  const sizeOf = (dim: Dim) => evaluateDim(dim, sizes) ?? Number.NaN;
  let flops = 0;
  for (const { operator, attributes, inputs, outputs } of liveParts(graph).nodes) {
    if (operator !== 'gemm') continue;
    const { transA } = attributes as { readonly transA: boolean };
    const [rows, columns] = outputs[0].shape;
    flops += 2 * sizeOf(rows) * sizeOf(inputs[0].shape[transA ? 0 : 1]) * sizeOf(columns);
  }
  return flops;
}

/**
 * FLOPs of all batched products, attention's, on their whole rectangles.
 *
 * @param sizes of the graph's symbols
 */
export function attentionFlops(graph: Graph, sizes: ReadonlyMap<string, number>): number {
  const sizeOf = (dim: Dim) => evaluateDim(dim, sizes) ?? Number.NaN;
  let flops = 0;
  for (const { operator, attributes, inputs, outputs } of liveParts(graph).nodes) {
    if (operator !== 'matMul') continue;
    const { transA } = attributes as { readonly transA: boolean };
    const results = outputs[0].shape.reduce<number>((product, dim) => product * sizeOf(dim), 1);
    flops += 2 * results * sizeOf(inputs[0].shape.at(transA ? -2 : -1)!);
  }
  return flops;
}

/** The sizes that feeds give to the symbols of a program's inputs. */
export function symbolSizes(
  inputs: readonly ProgramInput[],
  feeds: Readonly<Record<string, Tensor>>,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, shape } of inputs) {
    shape.forEach((dim, axis) => {
      if (isSymbol(dim)) sizes.set(dim, feeds[name].shape[axis]);
    });
  }
  return sizes;
}
