import {
  add,
  argMax,
  type Dim,
  div,
  equal,
  type Graph,
  gather,
  gemm,
  greaterOrEqual,
  maximum,
  mul,
  reduceMax,
  reduceSum,
  reshape,
  sqrt,
  sub,
  unsqueeze,
  type Value,
  where,
} from '../graph/index.js';
import type { Packing, SiteVisitor } from '../model/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { comparesKeys, type GateKind, isAnsweredAlone, type KeyGateKind } from './hyperparameters.js';

/**
 * One layer's hook as the forward pass uses it. If the gate is open, the hooked output is `W k + b + A (E k)`. With the
 * gate `nearest` it is `W k + b + v_e (E k)_e / (k_eᵀ P0 k_e)`, where only the edit e that opens the gate counts. All
 * float32.
 */
export interface HookLayer {
  readonly layer: number;
  readonly dInner: number;
  /** E [edits, dInner]: `Kᵀ P0` of the edited keys. */
  readonly whitenedKeys: Float32Array;
  /** A [dModel, edits], the coefficients: the weight change is `dW = A E`. */
  readonly coefficients: Float32Array;
  /** [dModel, edits]: `v_e / (k_eᵀ P0 k_e)`, where `v_e` is the response that the edit asks for at its key. */
  readonly ownCoefficients: Float32Array;
  /** [edits]: `sqrt(k_eᵀ P0 k_e)`. */
  readonly keyNorms: Float32Array;
  /** [edits]: whitened cosine from which an edit opens the gates `key` and `nearest`. */
  readonly thresholds: Float32Array;
  /** Q [sketchRank, dInner] with `|Q k|² ~ kᵀ P0 k`. */
  readonly sketch: Float32Array;
  /** alpha of the sequence gate. */
  readonly sequenceThreshold: number;
}

/**
 * `gated` asks the gate, `open` hooks every token (a temporary hook), `closed` none. Signals are read in every mode.
 */
export type HookMode = 'gated' | 'open' | 'closed';

/** What a hooked layer tells of each row beside its output. */
export interface HookSignals {
  /** bool [rows, 1]: whether the gate is open. */
  readonly open: Value;
  /** [rows, 1]: how strongly; whitened cosine (key, nearest), z-score (sequence), absent without a gate. */
  readonly strength?: Value;
  /** int64 [rows]: the edit that opens the gate; only of gates that compare keys. */
  readonly edit?: Value;
}

/**
 * A site visitor that adds a hook to the down-projection of each of these layers. Hooks are inputs of the graph
 * (`hook.<layer>.<part>`), so that new edits need no new compilation.
 *
 * @param report receives each hooked layer's signals
 */
export function hookLayers(
  graph: Graph,
  packing: Packing,
  layers: readonly number[],
  gate: GateKind,
  report?: (layer: number, signals: HookSignals) => void,
): SiteVisitor {
  const innerOf = new Map<number, Value>();
  return (site, layer, value) => {
    if (!layers.includes(layer)) return value;
    if (site === 'mlp.inner') innerOf.set(layer, value);
    if (site !== 'mlp.out') return value;
    const keys = innerOf.get(layer)!;
    const inputs = declareHook(graph, layer, gate, keys.shape[1], value.shape[1]);
    const { hooked, signals } = hookedOutput(keys, value, inputs, (operands) => gateSignals(gate, operands, packing));
    report?.(layer, signals);
    return hooked;
  };
}

/** What a hook makes of a down-projection's output. */
export interface HookedOutput {
  /** [rows, dModel]. */
  readonly hooked: Value;
  readonly signals: HookSignals;
}

/**
 * One hook by itself, with a gate that compares keys and looks at no other row. Its parts are inputs as in
 * {@link hookLayers}.
 *
 * @param keys input of the down-projection, [rows, dInner]
 * @param output its output, [rows, dModel]
 */
export function keyHookedOutput(layer: number, gate: KeyGateKind, keys: Value, output: Value): HookedOutput {
  return hookedOutput(keys, output, declareHook(keys.graph, layer, gate, keys.shape[1], output.shape[1]), keyGate);
}

function hookedOutput(
  keys: Value,
  output: Value,
  inputs: HookInputs,
  signalsOf: (operands: GateOperands) => HookSignals,
): HookedOutput {
  const response = gemm(keys, inputs.whitenedKeys, { transB: true }); // E k, [rows, edits]
  const change = gemm(response, inputs.coefficients, { transB: true }); // dW k, [rows, dModel]
  const signals = signalsOf({ keys, response, change, inputs });
  const said = inputs.editNumbers ? nearestChange(response, signals, inputs) : change;
  return { hooked: where(signals.open, add(output, said), output), signals };
}

/** The change by the edit that opens the gate alone, without the responses of all others. */
function nearestChange(response: Value, { edit }: HookSignals, { editNumbers, coefficients }: HookInputs): Value {
  const isNearest = equal(editNumbers!, unsqueeze(edit!, [1])); // [rows, edits]
  return gemm(where(isNearest, response, response.graph.scalar(0)), coefficients, { transB: true });
}

/** The coefficients' name among a hook's inputs. Exported ONNX files hold this name, so it must not change. */
const coefficientsPart = 'values';

interface HookInputs {
  readonly whitenedKeys: Value;
  readonly coefficients: Value;
  readonly keyNorms?: Value;
  readonly thresholds: Value;
  readonly sketch?: Value;
  /** int64 [1, edits]; `nearest` only. */
  readonly editNumbers?: Value;
}

function declareHook(graph: Graph, layer: number, gate: GateKind, dInner: Dim, dModel: Dim): HookInputs {
  const edits = `hookEdits${layer}`;
  const input = (part: string, shape: readonly Dim[]) => graph.input(`hook.${layer}.${part}`, 'float32', [...shape]);
  return {
    whitenedKeys: input('whitenedKeys', [edits, dInner]),
    coefficients: input(coefficientsPart, [dModel, edits]),
    thresholds: input('thresholds', [1, comparesKeys(gate) ? edits : 1]),
    ...(comparesKeys(gate) && {
      keyNorms: input('keyNorms', [1, edits]),
      sketch: input('sketch', ['sketchRank', dInner]),
    }),
    ...(isAnsweredAlone(gate) && { editNumbers: graph.input(`hook.${layer}.editNumbers`, 'int64', [1, edits]) }),
  };
}

interface GateOperands {
  readonly keys: Value;
  readonly response: Value;
  readonly change: Value;
  readonly inputs: HookInputs;
}

function gateSignals(gate: GateKind, operands: GateOperands, packing: Packing): HookSignals {
  switch (gate) {
    case 'key':
    case 'nearest':
      return keyGate(operands);
    case 'sequence':
      return sequenceGate(operands, packing);
    case 'none':
      return {
        open: greaterOrEqual(reduceMax(operands.response, [1], { keepDims: true }), operands.inputs.thresholds),
      };
  }
}

/**
 * The key gate: open where the token's key is an edited key in the metric in which the update was solved,
 *
 *     s_e(k) = k_eᵀ P0 k / sqrt(k_eᵀ P0 k_e · kᵀ P0 k),   open where max_e (s_e(k) - tau_e) >= 0
 *
 * with `kᵀ P0 k` from the sketch. It looks at one token at a time, so it is causal and independent of batch, length and
 * padding.
 *
 * The gate `nearest` opens in the same way. But behind it only the edit with the largest `s_e(k) - tau_e` (the first,
 * if several tie) changes the output. At the key `k_e` itself the change is `v_e`. A paraphrase has another key. There
 * `A (E k)` also contains what the keys of all other edits have in common with it, which grows with their number. The
 * scaled `v_e` does not.
 */
function keyGate({ keys, response, inputs }: GateOperands): HookSignals {
  const { graph } = keys;
  const sketched = gemm(keys, inputs.sketch!, { transB: true });
  const norms = sqrt(reduceSum(mul(sketched, sketched), [1], { keepDims: true }));
  const similarity = div(response, mul(maximum(norms, graph.scalar(1e-30)), inputs.keyNorms!)); // [rows, edits]
  const margin = sub(similarity, inputs.thresholds);
  const best = reduceMax(margin, [1], { keepDims: true });
  return {
    open: greaterOrEqual(best, graph.scalar(0)),
    strength: reduceMax(similarity, [1], { keepDims: true }),
    edit: argMax(margin),
  };
}

/**
 * The paper's gate: `m_i = |dW k_i|` is standardised over the tokens of its sequence with the sample standard
 * deviation, and the gate is open where the z-score reaches alpha (arXiv 2403.05330, section 3.2). Padding does not
 * count.
 */
function sequenceGate({ change, inputs }: GateOperands, packing: Packing): HookSignals {
  const { graph } = change;
  const magnitude = sqrt(reduceSum(mul(change, change), [1], { keepDims: true })); // [rows, 1]
  const padded = gather(magnitude, packing.toPadded); // [batch, tokens, 1]
  const present = packing.present;
  const count = reduceSum(present, [1], { keepDims: true });
  const mean = div(reduceSum(mul(padded, present), [1], { keepDims: true }), count);
  const centred = mul(sub(padded, mean), present);
  const degrees = maximum(sub(count, graph.scalar(1)), graph.scalar(1));
  const variance = div(reduceSum(mul(centred, centred), [1], { keepDims: true }), degrees);
  const standardised = div(centred, maximum(sqrt(variance), graph.scalar(1e-30)));
  const flattened = gather(reshape(standardised, ['batch*tokens', 1]), packing.toRows); // [rows, 1]
  return { open: greaterOrEqual(flattened, inputs.thresholds), strength: flattened };
}

/** Feeds of {@link hookLayers}. A layer without edits gets one that never opens its gate, so that no axis is empty. */
export function hookFeeds(
  hooks: readonly HookLayer[],
  gate: GateKind,
  dModel: number,
  modeOf: (layer: number) => HookMode = () => 'gated',
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const hook of hooks) {
    const filled = hook.keyNorms.length > 0 ? hook : withNullEdit(hook, dModel);
    const edits = filled.keyNorms.length;
    const { dInner } = hook;
    const feed = (part: string, shape: number[], data: Float32Array) => {
      feeds[`hook.${hook.layer}.${part}`] = tensor('float32', shape, data);
    };
    feed('whitenedKeys', [edits, dInner], filled.whitenedKeys);
    const mode = modeOf(hook.layer);
    const isAlone = isAnsweredAlone(gate) && mode !== 'open';
    feed(coefficientsPart, [dModel, edits], isAlone ? filled.ownCoefficients : filled.coefficients);
    const thresholds = gateThresholds(filled, gate, mode);
    feed('thresholds', [1, thresholds.length], thresholds);
    if (comparesKeys(gate)) {
      feed('keyNorms', [1, edits], filled.keyNorms);
      feed('sketch', [filled.sketch.length / dInner, dInner], filled.sketch);
    }
    if (isAnsweredAlone(gate)) {
      // In an open hook all margins tie, so the first edit is the nearest everywhere. All get its number.
      const numbers = BigInt64Array.from({ length: edits }, (_, e) => (isAlone ? BigInt(e) : 0n));
      feeds[`hook.${hook.layer}.editNumbers`] = tensor('int64', [1, edits], numbers);
    }
  }
  return feeds;
}

const unreachable = 3e38;

/** Alpha is the score of some token. Rounding to float32 must not close the gate on that token. */
const sequenceSlack = 1e-3;

function gateThresholds(hook: HookLayer, gate: GateKind, mode: HookMode): Float32Array {
  const size = comparesKeys(gate) ? hook.thresholds.length : 1;
  if (mode === 'closed') return new Float32Array(size).fill(unreachable);
  if (mode === 'open' || gate === 'none') return new Float32Array(size).fill(-unreachable);
  return comparesKeys(gate) ? hook.thresholds : Float32Array.of(hook.sequenceThreshold - sequenceSlack);
}

function withNullEdit(hook: HookLayer, dModel: number): HookLayer {
  return {
    ...hook,
    whitenedKeys: new Float32Array(hook.dInner),
    coefficients: new Float32Array(dModel),
    ownCoefficients: new Float32Array(dModel),
    keyNorms: Float32Array.of(1),
    thresholds: Float32Array.of(2),
  };
}
