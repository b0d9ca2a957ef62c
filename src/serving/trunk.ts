import { type GateKind, type HookLayer, hookFeeds, hookLayers } from '../editing/index.js';
import { Graph, gather } from '../graph/index.js';
import {
  declarePacking,
  embedTokens,
  type Model,
  type ModelConfig,
  packSequences,
  runBlocks,
  type SiteVisitor,
} from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { tensor } from '../tensor/index.js';
import { type GateReading, readGates } from './firings.js';
import { KeyValueCache } from './key-value-cache.js';

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

/**
 * All blocks of a model with its hooks, without the vocabulary. The same graph runs whole sequences and single tokens
 * after a cached past, so that weights are held once.
 *
 * Inputs beside packing and hooks: `tokenIds` [rows]; `lookupRows` [lookups], rows whose final state is wanted;
 * `cachedRows` [cached], rows whose attention keys and values are wanted; `past.keys.<l>`, `past.values.<l>`
 * [batch, past, width].
 *
 * Outputs: `hidden` [lookups, dModel]; `keys.<l>`, `values.<l>` [cached, width]; of hooked layers `open.<l>` bool
 * [rows, 1], `strength.<l>` [rows, 1] and `edit.<l>` int64 [rows] as far as the gate has them.
 */
function trunkGraph(model: Model, layers: readonly number[], gate: GateKind): Graph {
  const graph = new Graph();
  const { config } = model;
  const packing = declarePacking(graph, config, { hasPast: true });
  const tokenIds = graph.input('tokenIds', 'int64', ['rows']);
  const lookupRows = graph.input('lookupRows', 'int64', ['lookups']);
  const cachedRows = graph.input('cachedRows', 'int64', ['cached']);
  const hook = hookLayers(graph, packing, layers, gate, (layer, { open, strength, edit }) => {
    graph.output(`open.${layer}`, open);
    if (strength) graph.output(`strength.${layer}`, strength);
    if (edit) graph.output(`edit.${layer}`, edit);
  });
  const visit: SiteVisitor = (site, layer, value) => {
    if (site === 'attention.keys') graph.output(`keys.${layer}`, gather(value, cachedRows));
    if (site === 'attention.values') graph.output(`values.${layer}`, gather(value, cachedRows));
    return hook(site, layer, value);
  };
  const past = (part: string) =>
    graph.input(`past.${part}`, graph.floatDtype, ['batch', 'past', config.keyValueHeads * config.dHead]);
  const hidden = runBlocks(model, packing, embedTokens(model, packing, tokenIds), {
    from: 0,
    to: config.layers,
    visit,
    past: (layer) => ({ keys: past(`keys.${layer}`), values: past(`values.${layer}`) }),
  });
  graph.output('hidden', gather(hidden, lookupRows));
  return graph;
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
