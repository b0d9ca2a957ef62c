import { Graph, gemm } from '../graph/index.js';
import { addTo } from '../linalg/index.js';
import { declarePacking, embedTokens, type Model, packSequences, runBlocks } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { tensor } from '../tensor/index.js';

/**
 * Running sums of `k kᵀ` over tokens of ordinary text, per layer. Divided by the tokens they are the keys' covariance.
 */
export interface KeyMomentSums {
  /** Tokens summed over. */
  tokens: number;
  /** float64 [dInner, dInner] by layer, row-major. */
  readonly sums: ReadonlyMap<number, Float64Array>;
}

/** Sums of zero. */
export function emptyMomentSums(layers: readonly number[], dInner: number): KeyMomentSums {
  return { tokens: 0, sums: new Map(layers.map((layer) => [layer, new Float64Array(dInner * dInner)])) };
}

/**
 * Adds the keys of text to moment sums, `sum += Σ_t k_t k_tᵀ`, in float32 within a batch and float64 across batches.
 * Blocks above the deepest layer, and that layer's own down-projection, are not computed.
 */
export class KeyMomentProgram {
  readonly #model: Model;
  readonly #layers: readonly number[];
  readonly #program: Program;

  private constructor(model: Model, layers: readonly number[], program: Program) {
    this.#model = model;
    this.#layers = layers;
    this.#program = program;
  }

  /** @param compileGraph makes the program; measurements pass their own */
  static async compile(
    model: Model,
    layers: readonly number[],
    device?: Device,
    compileGraph: typeof compile = compile,
  ): Promise<KeyMomentProgram> {
    const graph = new Graph();
    const packing = declarePacking(graph, model.config);
    const tokenIds = graph.input('tokenIds', 'int64', ['rows']);
    runBlocks(model, packing, embedTokens(model, packing, tokenIds), {
      from: 0,
      to: Math.max(...layers) + 1,
      visit: (site, layer, value) => {
        if (site === 'mlp.inner' && layers.includes(layer)) {
          graph.output(`moment.${layer}`, gemm(value, value, { transA: true }));
        }
        return value;
      },
    });
    return new KeyMomentProgram(model, layers, await compileGraph(graph, device ? { device } : {}));
  }

  /** Adds the tokens of one batch of sequences. */
  async add(sequences: readonly (readonly number[])[], into: KeyMomentSums): Promise<void> {
    const extents = sequences.map((ids) => ({ past: 0, length: ids.length }));
    const tokenIds = sequences.flat();
    const outputs = await this.#program.run({
      ...packSequences(this.#model.config, extents),
      tokenIds: tensor('int64', [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
    });
    for (const layer of this.#layers) {
      addTo(into.sums.get(layer)!, outputs[`moment.${layer}`].data as Float32Array);
    }
    into.tokens += tokenIds.length;
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }
}
