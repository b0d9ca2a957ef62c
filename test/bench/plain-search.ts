/**
 * @file The plain value search, the yardstick: every step runs the whole sequences through all blocks, one subject at a
 * time,
 * with logits at all positions.
 */

import { Adam, euclideanNorm } from '../../src/editing/adam.js';
import { type Hyperparameters, type TokenizedSubject, valueLayer } from '../../src/editing/index.js';
import { type ObjectiveSequence, objectiveSequences } from '../../src/editing/objective-sequence.js';
import {
  add,
  exp,
  Graph,
  gather,
  gatherElements,
  gemm,
  gradient,
  logSoftmax,
  mul,
  neg,
  reduceSum,
  sub,
  takeRows,
} from '../../src/graph/index.js';
import {
  declarePacking,
  embedTokens,
  type Model,
  packSequences,
  runBlocks,
  type SiteVisitor,
  vocabularyLogits,
} from '../../src/model/index.js';
import { compile, type Program } from '../../src/runtime/index.js';
import { type Tensor, tensor } from '../../src/tensor/index.js';

/** The same objective as `objectiveGraph`, from the tokens on. */
export function plainObjectiveGraph(model: Model, settings: Hyperparameters): Graph {
  const graph = new Graph();
  const { dModel, vocab, layers } = model.config;
  const packing = declarePacking(graph, model.config);
  const delta = graph.input('delta', 'float32', [1, dModel]);
  const shift = gemm(graph.input('lookup', 'float32', ['rows', 1]), delta);
  const visit: SiteVisitor = (site, layer, value) => {
    if (site !== 'block.out' || layer !== valueLayer(settings)) return value;
    graph.output('initial', gather(value, graph.input('bareRow', 'int64', [1])));
    return add(value, shift);
  };
  const embedded = embedTokens(model, packing, graph.input('tokenIds', 'int64', ['rows']));
  const hidden = runBlocks(model, packing, embedded, { from: 0, to: layers, visit });
  const logProbabilities = logSoftmax(vocabularyLogits(model, hidden));
  const said = gatherElements(logProbabilities, graph.input('nextIds', 'int64', ['rows', 1]));
  const nll = neg(reduceSum(mul(graph.input('nextWeights', 'float32', ['rows', 1]), said), [0, 1]));

  const [keptRows, keptPlaces] = [
    graph.input('keptRows', 'int64', ['kept']),
    graph.input('keptPlaces', 'int64', ['rows']),
  ];
  const now = takeRows(logProbabilities, keptRows, keptPlaces, { partial: true });
  const before = graph.input('keptBefore', 'float32', ['kept', vocab]);
  const divergence = reduceSum(mul(exp(before), sub(before, now)), [1], { keepDims: true });
  const keptLoss = reduceSum(mul(graph.input('keptWeights', 'float32', ['kept', 1]), divergence), [0, 1]);

  graph.output('gradient', gradient(add(nll, keptLoss), [delta])[0]);
  graph.output('keptNow', now);
  return graph;
}

/** Seeks values as the field's scripts do. */
export class PlainSearch {
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #program: Program;

  private constructor(model: Model, settings: Hyperparameters, program: Program) {
    this.#model = model;
    this.#settings = settings;
    this.#program = program;
  }

  static async compile(model: Model, settings: Hyperparameters): Promise<PlainSearch> {
    return new PlainSearch(model, settings, await compile(plainObjectiveGraph(model, settings)));
  }

  /** `delta` and `z* = z + delta` of one subject after exactly `settings.steps` steps: float64 [dModel] each. */
  async search(subject: TokenizedSubject): Promise<{ delta: Float64Array; target: Float64Array }> {
    const settings = this.#settings;
    const { dModel } = this.#model.config;
    const constantFeeds = this.#feeds(objectiveSequences(subject, 0, settings));
    const weightsBefore = constantFeeds.keptWeights;
    const unweighted = tensor('float32', weightsBefore.shape, new Float32Array(weightsBefore.shape[0]));
    let keptBefore: Tensor | undefined;
    let initial = new Float64Array(dModel);
    let adam: Adam | undefined;
    for (let step = 0; step < settings.steps; step++) {
      const delta: Float64Array = adam?.parameters ?? new Float64Array(dModel);
      const outputs = await this.#program.run({
        ...constantFeeds,
        delta: tensor('float32', [1, dModel], Float32Array.from(delta)),
        // The first step, at delta = 0, is where the distributions to keep are read; their loss is 0 there.
        ...(keptBefore === undefined && { keptWeights: unweighted }),
        keptBefore:
          keptBefore ??
          tensor(
            'float32',
            [weightsBefore.shape[0], this.#model.config.vocab],
            new Float32Array(weightsBefore.shape[0] * this.#model.config.vocab),
          ),
      });
      keptBefore ??= outputs.keptNow;
      if (adam === undefined) {
        initial = Float64Array.from(outputs.initial.data as Float32Array);
        adam = new Adam(
          new Float64Array(dModel),
          settings.learningRate,
          settings.clampNormFactor * euclideanNorm(initial),
        );
      }
      const [norm, initialNorm] = [euclideanNorm(adam.parameters), euclideanNorm(initial)];
      const decay = norm === 0 ? 0 : settings.weightDecay / (norm * initialNorm ** 2);
      const { parameters } = adam;
      adam.step(Float64Array.from(outputs.gradient.data as Float32Array, (g, i) => g + decay * parameters[i]));
    }
    const delta = adam!.parameters;
    return { delta, target: initial.map((z, i) => z + delta[i]) };
  }

  dispose(): Promise<void> {
    return this.#program.dispose();
  }

  #feeds(sequences: readonly ObjectiveSequence[]): Record<string, Tensor> {
    const { config } = this.#model;
    const extents = sequences.map(({ tokenIds }) => ({ past: 0, length: tokenIds.length }));
    const starts = extents.map((_, s) => extents.slice(0, s).reduce((sum, { length }) => sum + length, 0));
    const ids = sequences.flatMap((sequence) => [...sequence.tokenIds]);
    const [lookup, nextIds, nextWeights] = [
      new Float32Array(ids.length),
      new BigInt64Array(ids.length),
      new Float32Array(ids.length),
    ];
    const keptPlaces = new BigInt64Array(ids.length).fill(-1n);
    const kept: { row: number; weight: number }[] = [];
    sequences.forEach((sequence, s) => {
      for (const position of sequence.lookups) lookup[starts[s] + position] = 1;
      for (const { positionIndex, tokenId, weight } of sequence.targets) {
        nextIds[starts[s] + positionIndex] = BigInt(tokenId);
        nextWeights[starts[s] + positionIndex] = weight;
      }
      for (const { positionIndex, weight } of sequence.kept) {
        keptPlaces[starts[s] + positionIndex] = BigInt(kept.length);
        kept.push({ row: starts[s] + positionIndex, weight });
      }
    });
    return {
      ...packSequences(config, extents),
      tokenIds: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)),
      lookup: tensor('float32', [ids.length, 1], lookup),
      bareRow: tensor('int64', [1], BigInt64Array.of(BigInt(sequences[0].lookups[0]))),
      nextIds: tensor('int64', [ids.length, 1], nextIds),
      nextWeights: tensor('float32', [ids.length, 1], nextWeights),
      keptRows: tensor(
        'int64',
        [kept.length],
        BigInt64Array.from(kept, ({ row }) => BigInt(row)),
      ),
      keptPlaces: tensor('int64', [ids.length], keptPlaces),
      keptWeights: tensor(
        'float32',
        [kept.length, 1],
        Float32Array.from(kept, ({ weight }) => weight),
      ),
    };
  }
}
