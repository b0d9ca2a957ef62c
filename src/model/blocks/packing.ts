import type { Graph, Value } from '../../graph/index.js';
import { type Tensor, tensor } from '../../tensor/index.js';
import type { ModelConfig } from './config.js';
import { fillRotaryRow, rotaryFrequencies } from './rotary.js';

/**
 * Sequences of different lengths laid end to end as rows, so that every matrix product runs on real tokens only.
 * Attention alone needs a rectangle: `toPadded` lays the rows out as [batch, tokens], `toRows` takes them back, and the
 * mask hides the padding, the future and what lies outside a sliding window. Padding therefore never enters a mean, a
 * moment or a gate.
 */
export interface Packing {
  /** int64 [rows]: position of each row's token in its whole sequence. */
  readonly positions: Value;
  /** int64 [batch, tokens]: row at each place of the rectangle; padding points at row 0. */
  readonly toPadded: Value;
  /** int64 [rows]: place of each row in the flattened rectangle. */
  readonly toRows: Value;
  /** int64 [batch * tokens]: row at each place of the flattened rectangle, -1 at padding. */
  readonly rowAtPlace: Value;
  /** [batch, tokens, 1]: 1 at tokens, 0 at padding. */
  readonly present: Value;
  /** [batch, 1, group * tokens, past + tokens]: 0 where a query sees a key, -1e30 elsewhere. */
  readonly mask: Value;
  /** [rows, 1, dims] each; absent without rotary embeddings. */
  readonly rotary?: { readonly cosines: Value; readonly sines: Value };
  /** Whether keys and values of earlier tokens are given ([batch, past, keyValueHeads * dHead] per layer). */
  readonly hasPast: boolean;
}

/** A sequence whose first `past` tokens are computed already, and whose next `length` tokens are the rows. */
export interface SequenceExtent {
  readonly past: number;
  readonly length: number;
}

const hidden = -1e30;

/** Declares the inputs of a packing in a graph. */
export function declarePacking(graph: Graph, config: ModelConfig, options: { hasPast?: boolean } = {}): Packing {
  const hasPast = options.hasPast ?? false;
  const float = graph.floatDtype;
  const keyTokens = hasPast ? 'past+tokens' : 'tokens';
  return {
    hasPast,
    positions: graph.input('positions', 'int64', ['rows']),
    toPadded: graph.input('toPadded', 'int64', ['batch', 'tokens']),
    toRows: graph.input('toRows', 'int64', ['rows']),
    rowAtPlace: graph.input('rowAtPlace', 'int64', ['batch*tokens']),
    present: graph.input('present', float, ['batch', 'tokens', 1]),
    mask: graph.input('mask', float, ['batch', 1, queryTokens(config), keyTokens]),
    ...(config.rotary && {
      rotary: {
        cosines: graph.input('rotaryCosines', float, ['rows', 1, config.rotary.dims]),
        sines: graph.input('rotarySines', float, ['rows', 1, config.rotary.dims]),
      },
    }),
  };
}

/** The symbol of the mask's query axis: the query heads that share a key head are stacked along it. */
export function queryTokens(config: ModelConfig): string {
  const group = config.heads / config.keyValueHeads;
  return group === 1 ? 'tokens' : `${group}*tokens`;
}

/**
 * The feeds of {@link declarePacking} for these sequences.
 *
 * @param options.pastTokens width of the rectangle of earlier tokens, for graphs that have a past
 * @param options.float `float32`, or `float64` for graphs built to check gradients
 */
export function packSequences(
  config: ModelConfig,
  sequences: readonly SequenceExtent[],
  options: { pastTokens?: number; float?: 'float32' | 'float64' } = {},
): Record<string, Tensor> {
  const float = options.float ?? 'float32';
  const rows = sequences.reduce((sum, s) => sum + s.length, 0);
  const tokens = Math.max(1, ...sequences.map((s) => s.length));
  const positions = new BigInt64Array(rows);
  const toPadded = new BigInt64Array(sequences.length * tokens);
  const toRows = new BigInt64Array(rows);
  const rowAtPlace = new BigInt64Array(sequences.length * tokens).fill(-1n);
  const present = floatArray(float, sequences.length * tokens);
  let row = 0;
  sequences.forEach((sequence, b) => {
    for (let t = 0; t < sequence.length; t++, row++) {
      positions[row] = BigInt(sequence.past + t);
      toPadded[b * tokens + t] = BigInt(row);
      rowAtPlace[b * tokens + t] = BigInt(row);
      toRows[row] = BigInt(b * tokens + t);
      present[b * tokens + t] = 1;
    }
  });
  return {
    positions: tensor('int64', [rows], positions),
    toPadded: tensor('int64', [sequences.length, tokens], toPadded),
    toRows: tensor('int64', [rows], toRows),
    rowAtPlace: tensor('int64', [rowAtPlace.length], rowAtPlace),
    present: floatTensor(float, [sequences.length, tokens, 1], present),
    mask: attentionMask(config, sequences, tokens, options.pastTokens ?? 0, float),
    ...rotaryFeeds(config, positions, float),
  };
}

function attentionMask(
  config: ModelConfig,
  sequences: readonly SequenceExtent[],
  tokens: number,
  past: number,
  float: 'float32' | 'float64',
): Tensor {
  const group = config.heads / config.keyValueHeads;
  const keys = past + tokens;
  const data = floatArray(float, sequences.length * group * tokens * keys).fill(hidden);
  const window = config.slidingWindow ?? Number.POSITIVE_INFINITY;
  let offset = 0;
  for (const sequence of sequences) {
    for (let query = 0; query < group * tokens; query++, offset += keys) {
      const t = query % tokens;
      if (t >= sequence.length) continue;
      const nearest = sequence.past + t;
      const farthest = Math.max(0, nearest - window + 1);
      for (let p = farthest; p < Math.min(sequence.past, nearest + 1); p++) data[offset + p] = 0;
      for (let u = Math.max(0, farthest - sequence.past); u <= t; u++) data[offset + past + u] = 0;
    }
  }
  return floatTensor(float, [sequences.length, 1, group * tokens, keys], data);
}

function rotaryFeeds(
  config: ModelConfig,
  positions: BigInt64Array,
  float: 'float32' | 'float64',
): Record<string, Tensor> {
  if (config.rotary === undefined) return {};
  const { dims, layout } = config.rotary;
  const frequencies = rotaryFrequencies(config.rotary);
  const cosines = floatArray(float, positions.length * dims);
  const sines = floatArray(float, positions.length * dims);
  for (let row = 0; row < positions.length; row++) {
    fillRotaryRow(Number(positions[row]), frequencies, layout, cosines, sines, row * dims);
  }
  const shape = [positions.length, 1, dims];
  return { rotaryCosines: floatTensor(float, shape, cosines), rotarySines: floatTensor(float, shape, sines) };
}

function floatArray(float: 'float32' | 'float64', length: number): Float32Array | Float64Array {
  return float === 'float32' ? new Float32Array(length) : new Float64Array(length);
}

function floatTensor(
  float: 'float32' | 'float64',
  shape: readonly number[],
  data: Float32Array | Float64Array,
): Tensor {
  return float === 'float32'
    ? tensor('float32', shape, data as Float32Array)
    : tensor('float64', shape, data as Float64Array);
}
