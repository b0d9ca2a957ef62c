import { Graph, gemm } from '../graph/index.js';
import type { ModelConfig } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';

/** Layers of a chain: so many that weights do not stay in the cache between products. */
const chainLayers = 4;

/**
 * A program of matrix products only, with the shapes of a model's MLP and fed weights: `x -> x Uᵀ -> (x Uᵀ) Dᵀ`, layer
 * after layer. It measures the speed of float32 products on a machine.
 */
export class GemmChain {
  readonly #program: Program;
  readonly #feeds: Readonly<Record<string, Tensor>>;

  private constructor(
    program: Program,
    feeds: Readonly<Record<string, Tensor>>,
    /** FLOPs of one run. */
    readonly flops: number,
    /** Bytes of all weights. */
    readonly weightBytes: number,
  ) {
    this.#program = program;
    this.#feeds = feeds;
  }

  static async compile(
    { dModel, dInner }: Pick<ModelConfig, 'dModel' | 'dInner'>,
    rows: number,
    device?: Device,
  ): Promise<GemmChain> {
    const graph = new Graph();
    const feeds: Record<string, Tensor> = {};
    const input = (name: string, shape: readonly [number, number], scale: number) => {
      feeds[name] = tensor('float32', shape, waves(shape[0] * shape[1], scale));
      return graph.input(name, 'float32', [...shape]);
    };
    let hidden = input('x', [rows, dModel], 1);
    for (let layer = 0; layer < chainLayers; layer++) {
      const inner = gemm(hidden, input(`up.${layer}`, [dInner, dModel], dModel ** -0.5), { transB: true });
      hidden = gemm(inner, input(`down.${layer}`, [dModel, dInner], dInner ** -0.5), { transB: true });
    }
    graph.output('y', hidden);
    const weights = chainLayers * 2 * dModel * dInner;
    return new GemmChain(await compile(graph, device ? { device } : {}), feeds, 2 * rows * weights, 4 * weights);
  }

  run(): Promise<unknown> {
    return this.#program.run(this.#feeds);
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }
}

/** Numbers that are never zero and that do not grow from layer to layer. */
export function waves(count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => scale * 1.4 * Math.sin(1 + 12.9898 * i));
}
