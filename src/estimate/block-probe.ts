/**
 * @file A decoder block with fed weights, forward and backward, to measure a machine's speed at all that is no product.
 */
import {
  add,
  concat,
  Graph,
  gemm,
  gradient,
  matMul,
  mul,
  neg,
  reciprocal,
  reduceMean,
  reduceSum,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  transpose,
  type Value,
} from '../graph/index.js';
import type { ModelConfig } from '../model/index.js';
import { compile, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { blockStep, type RunRows } from './forward-work.js';
import { waves } from './gemm-chain.js';
import type { Work } from './work.js';

/** The sizes of a probe. */
export type ProbeSizes = Pick<ModelConfig, 'dModel' | 'dInner' | 'heads' | 'dHead'>;

/** One block of the Llama kind with its gradient with respect to the input, compiled for timing. */
export class BlockProbe {
  readonly #program: Program;
  readonly #feeds: Readonly<Record<string, Tensor>>;

  private constructor(
    program: Program,
    feeds: Readonly<Record<string, Tensor>>,
    /** The work of a run. */
    readonly work: Work,
  ) {
    this.#program = program;
    this.#feeds = feeds;
  }

  static async compile(sizes: ProbeSizes, batch: number, tokens: number): Promise<BlockProbe> {
    const graph = new Graph();
    const feeds: Record<string, Tensor> = {};
    const input = (name: string, ...shape: number[]): Value => {
      const count = shape.reduce((product, dim) => product * dim, 1);
      feeds[name] = tensor('float32', shape, waves(count, shape[1] ** -0.5));
      return graph.input(name, 'float32', shape);
    };
    const rows = batch * tokens;
    const x = input('x', rows, sizes.dModel);
    const out = mlp(attention(x, { batch, tokens }, sizes, input), sizes, input);
    const [slope] = gradient(reduceSum(mul(out, out), [0, 1]), [x]);
    graph.output('out', out);
    graph.output('slope', slope);
    return new BlockProbe(await compile(graph), feeds, blockStep(likeLlama(sizes), { rows, batch, tokens }));
  }

  run(): Promise<unknown> {
    return this.#program.run(this.#feeds);
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }
}

/** The config of the probe. */
function likeLlama(sizes: ProbeSizes): ModelConfig {
  return {
    ...sizes,
    modelType: 'llama',
    layers: 1,
    keyValueHeads: sizes.heads,
    vocab: 1,
    maxTokens: 1,
    normEpsilon: 0,
    activation: 'silu',
    tiedEmbeddings: true,
    gatedMlp: true,
    rotary: { dims: sizes.dHead, base: 1, layout: 'half' },
  };
}

type Input = (name: string, ...shape: number[]) => Value;

function norm(x: Value, gain: Value): Value {
  const scale = reciprocal(sqrt(reduceMean(mul(x, x), [-1], { keepDims: true })));
  return mul(mul(x, scale), gain);
}

function attention(
  x: Value,
  { batch, tokens }: Pick<RunRows, 'batch' | 'tokens'>,
  { dModel, heads, dHead }: ProbeSizes,
  input: Input,
): Value {
  const width = heads * dHead;
  const rows = batch * tokens;
  const normed = norm(x, input('norm.1', 1, dModel));
  const [cosines, sines] = [input('cosines', rows, 1, dHead), input('sines', rows, 1, dHead)];
  const project = (name: string) => reshape(gemm(normed, input(name, dModel, width)), [rows, heads, dHead]);
  const turn = (value: Value) => {
    const swapped = concat([neg(slice(value, 2, dHead / 2, dHead)), slice(value, 2, 0, dHead / 2)], 2);
    return add(mul(value, cosines), mul(swapped, sines));
  };
  const split = (value: Value, order: readonly number[]) =>
    transpose(reshape(value, [batch, tokens, heads, dHead]), [...order]);
  const scores = matMul(split(turn(project('q')), [0, 2, 1, 3]), split(turn(project('k')), [0, 2, 3, 1]));
  const scaled = mul(scores, x.graph.scalar(dHead ** -0.5));
  const mixed = matMul(
    softmax(add(scaled, input('mask', batch, 1, tokens, tokens))),
    split(project('v'), [0, 2, 1, 3]),
  );
  return add(x, gemm(reshape(transpose(mixed, [0, 2, 1, 3]), [rows, width]), input('o', width, dModel)));
}

function mlp(x: Value, { dModel, dInner }: ProbeSizes, input: Input): Value {
  const normed = norm(x, input('norm.2', 1, dModel));
  const gate = gemm(normed, input('gate', dModel, dInner));
  const inner = mul(mul(gate, sigmoid(gate)), gemm(normed, input('up', dModel, dInner)));
  return add(x, gemm(inner, input('down', dInner, dModel)));
}
