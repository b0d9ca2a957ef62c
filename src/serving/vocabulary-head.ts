/**
 * @file From final states to scores, comparisons and logits over the vocabulary, for a bounded number of rows at a
 *   time.
 */
import {
  argMax,
  exp,
  Graph,
  gatherElements,
  logSoftmax,
  mul,
  neg,
  reduceSum,
  reshape,
  sub,
  type Value,
} from '../graph/index.js';
import { type Model, vocabularyLogits } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';

/** Bytes of all the [rows, vocab] arrays that one run of a head may hold. */
const chunkBytes = 100e6;

/** Log-probability of a target and the most probable token, by row. */
export interface TargetScores {
  readonly logProbabilities: Float32Array;
  readonly argMaxIds: readonly number[];
}

/** Comparison of two models at the same rows, each [n]. */
export interface Divergence {
  /** KL(base || edited). */
  readonly kl: Float32Array;
  /** Negative log-probability of the target. */
  readonly baseNll: Float32Array;
  readonly editedNll: Float32Array;
}

/** Final norm and vocabulary projection. Each form is compiled when it is first used. */
export class VocabularyHead {
  readonly #programs = new Map<HeadName, Promise<Program>>();
  readonly #chunkRows: number;
  readonly #model: Model;
  readonly #device: Device | undefined;

  constructor(model: Model, device?: Device) {
    this.#model = model;
    this.#device = device;
    this.#chunkRows = Math.max(1, Math.floor(chunkBytes / (largestArrays * 4 * model.config.vocab)));
  }

  /** @param hidden [n, dModel] */
  async score(hidden: Float32Array, targetIds: readonly number[]): Promise<TargetScores> {
    const logProbabilities = new Float32Array(targetIds.length);
    const argMaxIds: number[] = [];
    await this.#inChunks('score', targetIds.length, async (program, rows) => {
      const outputs = await program.run({ hidden: rows.of(hidden), targetIds: rows.ids(targetIds) });
      logProbabilities.set(outputs.logProbabilities.data as Float32Array, rows.from);
      for (const id of outputs.argMaxIds.data as BigInt64Array) argMaxIds.push(Number(id));
    });
    return { logProbabilities, argMaxIds };
  }

  /** @param base, edited final states, [n, dModel] each */
  async compare(base: Float32Array, edited: Float32Array, targetIds: readonly number[]): Promise<Divergence> {
    const rowsTotal = targetIds.length;
    const results = {
      kl: new Float32Array(rowsTotal),
      baseNll: new Float32Array(rowsTotal),
      editedNll: new Float32Array(rowsTotal),
    };
    await this.#inChunks('compare', rowsTotal, async (program, rows) => {
      const feeds = { base: rows.of(base), edited: rows.of(edited), targetIds: rows.ids(targetIds) };
      const outputs = await program.run(feeds);
      for (const name of ['kl', 'baseNll', 'editedNll'] as const) {
        results[name].set(outputs[name].data as Float32Array, rows.from);
      }
    });
    return results;
  }

  /**
   * Logits of each row, [vocab] each.
   *
   * @param hidden [rowsTotal, dModel]
   */
  async logits(hidden: Float32Array, rowsTotal: number): Promise<Float32Array[]> {
    const { vocab } = this.#model.config;
    const result: Float32Array[] = [];
    await this.#inChunks('logits', rowsTotal, async (program, rows) => {
      const { logits } = await program.run({ hidden: rows.of(hidden) });
      const data = logits.data as Float32Array;
      for (let row = 0; row < rows.count; row++) result.push(data.subarray(row * vocab, (row + 1) * vocab));
    });
    return result;
  }

  /** Frees all programs. */
  async dispose(): Promise<void> {
    const programs = await Promise.all(this.#programs.values());
    this.#programs.clear();
    await Promise.all(programs.map((program) => program.dispose()));
  }

  async #inChunks(name: HeadName, rowsTotal: number, run: (program: Program, rows: Chunk) => Promise<void>) {
    const program = await this.#program(name);
    for (let from = 0; from < rowsTotal; from += this.#chunkRows) {
      await run(program, new Chunk(from, Math.min(this.#chunkRows, rowsTotal - from), this.#model.config.dModel));
    }
  }

  #program(name: HeadName): Promise<Program> {
    const program =
      this.#programs.get(name) ?? compile(heads[name](this.#model), this.#device && { device: this.#device });
    this.#programs.set(name, program);
    return program;
  }
}

/** Consecutive rows of one run. */
class Chunk {
  readonly #dModel: number;

  constructor(
    readonly from: number,
    readonly count: number,
    dModel: number,
  ) {
    this.#dModel = dModel;
  }

  of(hidden: Float32Array): Tensor {
    const { from, count } = this;
    const dModel = this.#dModel;
    return tensor('float32', [count, dModel], hidden.subarray(from * dModel, (from + count) * dModel));
  }

  ids(all: readonly number[]): Tensor {
    const { from, count } = this;
    return tensor('int64', [count, 1], BigInt64Array.from(all.slice(from, from + count), BigInt));
  }
}

type HeadName = keyof typeof heads;

/** [rows, vocab] arrays that the largest of the graphs holds at once. */
const largestArrays = 5;

const heads = {
  score(model: Model): Graph {
    const graph = new Graph();
    const logits = vocabularyLogits(model, states(graph, model, 'hidden'));
    graph.output('logProbabilities', gatherElements(logSoftmax(logits), targets(graph)));
    graph.output('argMaxIds', argMax(logits));
    return graph;
  },

  compare(model: Model): Graph {
    const graph = new Graph();
    const logitsOf = (name: string) => vocabularyLogits(model, states(graph, model, name));
    declareDivergence(graph, logitsOf('base'), logitsOf('edited'));
    return graph;
  },

  logits(model: Model): Graph {
    const graph = new Graph();
    graph.output('logits', vocabularyLogits(model, states(graph, model, 'hidden')));
    return graph;
  },
};

/**
 * Outputs `kl`, `baseNll` and `editedNll`, see {@link Divergence}, for targets from an input `targetIds` [rows, 1].
 *
 * @param baseLogits, editedLogits [rows, vocab]
 */
export function declareDivergence(graph: Graph, baseLogits: Value, editedLogits: Value): void {
  const [base, edited] = [logSoftmax(baseLogits), logSoftmax(editedLogits)];
  const targetIds = targets(graph);
  graph.output('kl', reduceSum(mul(exp(base), sub(base, edited)), [1]));
  graph.output('baseNll', negativeLogLikelihood(base, targetIds));
  graph.output('editedNll', negativeLogLikelihood(edited, targetIds));
}

function states(graph: Graph, model: Model, name: string): Value {
  return graph.input(name, graph.floatDtype, ['rows', model.config.dModel]);
}

function targets(graph: Graph): Value {
  return graph.input('targetIds', 'int64', ['rows', 1]);
}

function negativeLogLikelihood(logProbabilities: Value, targetIds: Value): Value {
  return reshape(neg(gatherElements(logProbabilities, targetIds)), ['rows']);
}
