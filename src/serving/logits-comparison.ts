import { Graph } from '../graph/index.js';
import { compile, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import type { Comparison } from './hookable-model.js';
import { declareDivergence } from './vocabulary-head.js';

/** Two models on one sequence, by their logits. */
export class LogitsComparison {
  #program: Promise<Program> | undefined;

  /** @param base, edited logits after every token, [tokens, vocab] */
  async compare(tokenIds: readonly number[], base: Tensor<'float32'>, edited: Tensor<'float32'>): Promise<Comparison> {
    const tokens = tokenIds.length;
    const predictedTokens = tokens - 1;
    const nothing = {
      firings: [],
      strengths: new Float32Array(tokens).fill(Number.NaN),
      rows: tokens,
      openRows: Number.NaN,
    };
    if (predictedTokens === 0) return { predictedTokens, baseNll: 0, editedNll: 0, klSum: 0, ...nothing };
    const [, vocab] = base.shape;
    const predicting = ({ data }: Tensor<'float32'>) =>
      tensor('float32', [predictedTokens, vocab], data.subarray(0, predictedTokens * vocab));
    this.#program ??= compile(divergenceGraph());
    const program = await this.#program;
    const targetIds = tensor('int64', [predictedTokens, 1], BigInt64Array.from(tokenIds.slice(1), BigInt));
    const outputs = await program.run({ base: predicting(base), edited: predicting(edited), targetIds });
    const sumOf = (name: string) => (outputs[name].data as Float32Array).reduce((sum, value) => sum + value, 0);
    const sums = { baseNll: sumOf('baseNll'), editedNll: sumOf('editedNll'), klSum: sumOf('kl') };
    return { predictedTokens, ...sums, ...nothing };
  }

  async dispose(): Promise<void> {
    await (await this.#program)?.dispose();
    this.#program = undefined;
  }
}

function divergenceGraph(): Graph {
  const graph = new Graph();
  const logits = (name: string) => graph.input(name, 'float32', ['rows', 'vocab']);
  declareDivergence(graph, logits('base'), logits('edited'));
  return graph;
}
