/** @file Pieces that the architectures share: linear layers, norms, activations, attention. */
import {
  add,
  concat,
  erf,
  type Graph,
  gemm,
  matMul,
  maximum,
  mul,
  neg,
  reciprocal,
  reduceMean,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  sub,
  takeRows,
  tanh,
  transpose,
  type Value,
} from '../../graph/index.js';
import { tensor } from '../../tensor/index.js';
import type { BlockContext, WeightLayout } from './architecture.js';
import type { Activation } from './config.js';
import { queryTokens } from './packing.js';

/** `y = x Wᵀ (+ b)`, x: [rows, in] -> [rows, out]. */
export function linear(x: Value, weight: Value, layout: WeightLayout, bias?: Value): Value {
  return gemm(x, weight, { transB: layout === 'out-in', ...(bias && { bias }) });
}

/** `x / sqrt(mean(x²) + epsilon) * gain` over the last axis. */
export function rmsNorm(x: Value, gain: Value, epsilon: number): Value {
  const meanSquare = reduceMean(mul(x, x), [-1], { keepDims: true });
  const scale = reciprocal(sqrt(add(meanSquare, x.graph.scalar(epsilon))));
  return mul(mul(x, scale), gain);
}

/** `(x - mean) / sqrt(variance + epsilon) * gain + bias` over the last axis. */
export function layerNorm(x: Value, gain: Value, bias: Value, epsilon: number): Value {
  const centred = sub(x, reduceMean(x, [-1], { keepDims: true }));
  const variance = reduceMean(mul(centred, centred), [-1], { keepDims: true });
  const scale = reciprocal(sqrt(add(variance, x.graph.scalar(epsilon))));
  return add(mul(mul(centred, scale), gain), bias);
}

/** The nonlinearity of this name, element by element. */
export function activate(x: Value, activation: Activation): Value {
  const { graph } = x;
  const half = () => mul(x, graph.scalar(0.5));
  switch (activation) {
    case 'silu':
      return mul(x, sigmoid(x));
    case 'relu':
      return maximum(x, graph.scalar(0));
    case 'gelu':
      return mul(half(), add(erf(mul(x, graph.scalar(Math.SQRT1_2))), graph.scalar(1)));
    case 'gelu_new': {
      const cubic = mul(mul(mul(x, x), x), graph.scalar(0.044715));
      return mul(half(), add(tanh(mul(add(x, cubic), graph.scalar(Math.sqrt(2 / Math.PI)))), graph.scalar(1)));
    }
  }
}

/** [rows, heads * dHead] -> [rows, heads, dHead] */
export function splitHeads(x: Value, heads: number, dHead: number): Value {
  return reshape(x, [x.shape[0], heads, dHead]);
}

/** [rows, heads, dHead] -> [rows, heads * dHead] */
export function mergeHeads(x: Value): Value {
  const [rows, heads, dHead] = x.shape;
  return reshape(x, [rows, Number(heads) * Number(dHead)]);
}

/** Rotates the first `dims` components of each head by its row's position; x: [rows, heads, dHead]. */
export function rotate(x: Value, { packing, config, graph }: BlockContext): Value {
  if (packing.rotary === undefined || config.rotary === undefined) return x;
  const { dims, layout } = config.rotary;
  const rotated = slice(x, 2, 0, dims);
  const turned = layout === 'half' ? swapHalves(rotated, dims) : swapPairs(graph, rotated, dims);
  const result = add(mul(rotated, packing.rotary.cosines), mul(turned, packing.rotary.sines));
  return dims === config.dHead ? result : concat([result, slice(x, 2, dims)], 2);
}

function swapHalves(x: Value, dims: number): Value {
  return concat([neg(slice(x, 2, dims / 2, dims)), slice(x, 2, 0, dims / 2)], 2);
}

/** (a, b) -> (-b, a) for neighbouring components, as a product with a signed permutation. */
function swapPairs(graph: Graph, x: Value, dims: number): Value {
  const data = graph.floatDtype === 'float32' ? new Float32Array(dims * dims) : new Float64Array(dims * dims);
  for (let i = 0; i < dims; i += 2) {
    data[(i + 1) * dims + i] = -1;
    data[i * dims + i + 1] = 1;
  }
  const turn =
    data instanceof Float32Array ? tensor('float32', [dims, dims], data) : tensor('float64', [dims, dims], data);
  return matMul(x, graph.constant(turn));
}

/**
 * Causal grouped-query attention, `softmax(q kᵀ / sqrt(dHead) + mask) v`. The query heads that share a key head are
 * stacked as rows, so keys and values are never repeated.
 *
 * @param queries [rows, heads, dHead], rotated
 * @param keys    [rows, keyValueHeads, dHead], rotated
 * @param values  [rows, keyValueHeads, dHead]
 * @returns [rows, heads * dHead]
 */
export function attention(context: BlockContext, queries: Value, keys: Value, values: Value): Value {
  const { config, packing, past } = context;
  const { heads, keyValueHeads, dHead } = config;
  const group = heads / keyValueHeads;
  const pad = (x: Value) => takeRows(x, packing.toPadded, packing.toRows);
  const allKeys = withPast(pad(context.site('attention.keys', mergeHeads(keys))), past?.keys);
  const allValues = withPast(pad(context.site('attention.values', mergeHeads(values))), past?.values);
  const [batch, keyTokens] = allKeys.shape;

  const keyRows = transpose(reshape(allKeys, [batch, keyTokens, keyValueHeads, dHead]), [0, 2, 3, 1]);
  const valueRows = transpose(reshape(allValues, [batch, keyTokens, keyValueHeads, dHead]), [0, 2, 1, 3]);
  const grouped = reshape(pad(mergeHeads(queries)), [batch, 'tokens', keyValueHeads, group, dHead]);
  const queryRows = reshape(transpose(grouped, [0, 2, 3, 1, 4]), [batch, keyValueHeads, queryTokens(config), dHead]);

  const scores = mul(matMul(queryRows, keyRows), context.graph.scalar(1 / Math.sqrt(dHead)));
  const mixed = matMul(softmax(add(scores, packing.mask)), valueRows); // [batch, keyValueHeads, group * tokens, dHead]
  const ungrouped = reshape(mixed, [batch, keyValueHeads, group, 'tokens', dHead]);
  const padded = reshape(transpose(ungrouped, [0, 3, 1, 2, 4]), ['batch*tokens', heads * dHead]);
  return takeRows(padded, packing.toRows, packing.rowAtPlace, { partial: true });
}

function withPast(current: Value, past: Value | undefined): Value {
  return past === undefined ? current : concat([past, current], 1);
}
