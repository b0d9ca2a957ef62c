import { type GateKind, type HookLayer, hookFeeds } from '../editing/index.js';
import { type Model, type ModelConfig, packSequences } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { tensor } from '../tensor/index.js';
import { type GateReading, readGates } from './firings.js';
import { KeyValueCache } from './key-value-cache.js';
import { trunkGraph } from './trunk-graph.js';

/** A sequence, or its part that is not cached yet. */
export interface TrunkSequence {
  readonly tokenIds: readonly number[];
  /** Indices into `tokenIds` at which the final state is wanted. */
  readonly lookups: readonly number[];
}

/** The result of a run of the trunk. */
export interface TrunkResult {
  /** Final residual stream, [lookups, dModel]: those of all sequences end to end. */
  readonly hidden: Float32Array;
  /** Of each sequence. */
  readonly gates: readonly GateReading[];
}

/** The hooked blocks, compiled. */
export class Trunk {
  readonly #config: ModelConfig;
  readonly #layers: readonly number[];
  readonly #gate: GateKind;
  readonly #program: Program;

  private constructor(config: ModelConfig, layers: readonly number[], gate: GateKind, program: Program) {
    this.#config = config;
    this.#layers = layers;
    this.#gate = gate;
    this.#program = program;
  }

  static async compile(model: Model, layers: readonly number[], gate: GateKind, device?: Device): Promise<Trunk> {
    const program = await compile(trunkGraph(model, layers, gate), device ? { device } : {});
    return new Trunk(model.config, layers, gate, program);
  }

  /**
   * One forward pass.
   *
   * @param hooks undefined closes every gate: exactly the base model
   * @param cache of the tokens before these; these are added to it
   */
  async run(
    sequences: readonly TrunkSequence[],
    hooks: readonly HookLayer[] | undefined,
    cache?: KeyValueCache,
  ): Promise<TrunkResult> {
    const past = cache ?? new KeyValueCache(this.#config, sequences.length);
    const spans = sequences.map(({ tokenIds }, s) => ({ past: past.lengths[s], length: tokenIds.length }));
    const outputs = await this.#program.run({
      ...packSequences(this.#config, spans, { pastTokens: past.capacity }),
      ...past.feeds(),
      ...this.#hookFeeds(hooks),
      ...rowFeeds(sequences, cache !== undefined),
    });
    const lengths = spans.map((span) => span.length);
    cache?.append(lengths, outputs);
    return { hidden: outputs.hidden.data as Float32Array, gates: readGates(outputs, this.#layers, spans) };
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }

  #hookFeeds(hooks: readonly HookLayer[] | undefined) {
    const { dInner, dModel } = this.#config;
    if (hooks !== undefined) return hookFeeds(hooks, this.#gate, dModel);
    const noHooks = this.#layers.map((layer) => noHook(layer, dInner));
    return hookFeeds(noHooks, this.#gate, dModel, () => 'closed');
  }
}

function noHook(layer: number, dInner: number): HookLayer {
  const none = new Float32Array(0);
  return {
    layer,
    dInner,
    whitenedKeys: none,
    coefficients: none,
    ownCoefficients: none,
    keyNorms: none,
    thresholds: none,
    sketch: new Float32Array(dInner),
    sequenceThreshold: 0,
  };
}

function rowFeeds(sequences: readonly TrunkSequence[], isCached: boolean) {
  const tokenIds = sequences.flatMap((sequence) => sequence.tokenIds);
  let firstRow = 0;
  const lookupRows = sequences.flatMap(({ tokenIds, lookups }) => {
    const rows = lookups.map((lookup) => firstRow + lookup);
    firstRow += tokenIds.length;
    return rows;
  });
  return {
    tokenIds: indexTensor(tokenIds),
    lookupRows: indexTensor(lookupRows),
    cachedRows: indexTensor(isCached ? tokenIds.map((_, row) => row) : []),
  };
}

function indexTensor(indices: readonly number[]) {
  return tensor('int64', [indices.length], BigInt64Array.from(indices, BigInt));
}
