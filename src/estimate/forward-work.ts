/** @file The work of a decoder's graphs: blocks forward and backward, hooks, vocabulary. */
import type { ModelConfig } from '../model/index.js';
import { blockParameters, keyWidth, queryWidth, vocabularyParameters } from './model-size.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** The rows of one run of a program, and the rectangle that attention makes of them. */
export interface RunRows {
  readonly rows: number;
  /** Sequences. */
  readonly batch: number;
  /** Longest sequence in rows. */
  readonly tokens: number;
  /** Longest past in rows. */
  readonly past?: number;
}

/** Bytes of a weight in computation. Half-precision weights are widened when a program is compiled. */
export const computedBytes = 4;

/** Rows of a hook's sketch. */
export const sketchRank = 64;

/** Operators of a block that do arithmetic, after the runtime's fusions. Architectures differ little. */
const forwardOperators = 50;
const stepOperators = 140;

/**
 * One block forward: `2 rows parameters` FLOPs, plus `4 batch heads tokens (past + tokens) dHead` of attention.
 *
 * @param parameters of the part of the block that runs
 */
export function blockForward(config: ModelConfig, run: RunRows, parameters = blockParameters(config)): Work {
  return workOf({
    gemmFlops: 2 * run.rows * parameters,
    attentionFlops: 4 * scores(config, run) * config.dHead + turnFlops(config, run),
    operandBytes: computedBytes * parameters,
    elements: rowElements(config) * run.rows + padElements(config, run) + 3 * scores(config, run),
    operators: forwardOperators,
  });
}

/**
 * One block forward and backward. Weights have no gradient, so the products cost twice the forward:
 * `4 rows parameters`. In attention both operands have a gradient, so it costs three times the forward.
 */
export function blockStep(config: ModelConfig, run: RunRows): Work {
  const parameters = blockParameters(config);
  return workOf({
    gemmFlops: 4 * run.rows * parameters,
    attentionFlops: 12 * scores(config, run) * config.dHead + 2 * turnFlops(config, run),
    operandBytes: 2 * computedBytes * parameters,
    elements: 3.1 * (rowElements(config) * run.rows + padElements(config, run)) + 7 * scores(config, run),
    operators: stepOperators,
  });
}

/** Attention scores: [batch, heads, tokens, past + tokens]. */
function scores({ heads }: ModelConfig, { batch, tokens, past = 0 }: RunRows): number {
  return batch * heads * tokens * (past + tokens);
}

/** Interleaved rotary pairs are swapped by a product with a signed permutation [dims, dims]. */
function turnFlops({ rotary, heads, keyValueHeads }: ModelConfig, { rows }: RunRows): number {
  return rotary?.layout === 'interleaved' ? 2 * rows * (heads + keyValueHeads) * rotary.dims ** 2 : 0;
}

/** Queries, keys, values and results on attention's rectangle, in both layouts. Keys and values include their past. */
function padElements(config: ModelConfig, { batch, tokens, past = 0 }: RunRows): number {
  return 4 * batch * (tokens * (queryWidth(config) + keyWidth(config)) + past * keyWidth(config));
}

/** Numbers per row of the other operators of a block that are no products: norms, residuals, rotation, activation. */
function rowElements(config: ModelConfig): number {
  const { dModel, dInner, dHead, rotary, gatedMlp } = config;
  const norms = (gatedMlp ? 6 : 10) * dModel;
  const share = rotary === undefined ? 0 : rotary.dims / dHead;
  const rotation = share === 0 ? 0 : 5.5 * share + (share < 1 ? 1 : 0);
  const activation = { silu: 2, relu: 1, gelu: 5, gelu_new: 9 }[config.activation] + (gatedMlp ? 1 : 0);
  const rotated = rotation * (queryWidth(config) + keyWidth(config));
  return norms + 2 * dModel + rotated + activation * dInner;
}

/** Final norm and vocabulary on some rows, and the log-probabilities of their targets. */
export function vocabularyForward(config: ModelConfig, rows: number): Work {
  return workOf({
    gemmFlops: 2 * rows * vocabularyParameters(config),
    operandBytes: computedBytes * vocabularyParameters(config),
    elements: 3 * rows * config.vocab,
    operators: 15,
  });
}

/** The work of the hooks in a run, one for each layer: the response `A (E k)`, and the key gate with its sketch. */
export function hookForward({ dInner, dModel }: ModelConfig, rows: number, edits: number, layers: number): Work {
  const held = Math.max(1, edits);
  return timesWork(
    layers,
    workOf({
      gemmFlops: 2 * rows * (held * (dInner + dModel) + sketchRank * dInner),
      operandBytes: computedBytes * (held * (dInner + dModel) + sketchRank * dInner),
      transferBytes: computedBytes * (held * (dInner + dModel) + sketchRank * dInner),
      elements: rows * (3 * held + 2 * dModel),
      operators: 16,
    }),
  );
}

/** A run of consecutive blocks, which begins with tokens or states. */
export function forwardRun(config: ModelConfig, run: RunRows, blocks: number): Work {
  return sumWork(
    timesWork(blocks, blockForward(config, run)),
    // Embedding, packing: a few arrays of the rectangle.
    workOf({ runs: 1, elements: run.rows * config.dModel, hostElements: packedElements(run, config) }),
  );
}

/** Simple operations for each number that is laid out: a comparison for the mask, sine and cosine for the rotation. */
const layoutSteps = 10;

/** Numbers that plain TypeScript lays out for a run: mask, positions and rotations. */
export const packedElements = ({ rows, batch, tokens, past = 0 }: RunRows, config: ModelConfig): number =>
  layoutSteps *
  (batch * (config.heads / config.keyValueHeads) * tokens * (past + tokens) + 2 * rows * (config.rotary?.dims ?? 0));
