/** @file The three graphs of a value search: below the value layer, the fixed prefixes above it, and the objective. */
import {
  add,
  argMax,
  cast,
  equal,
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
  reshape,
  sub,
  type Value,
} from '../graph/index.js';
import { declarePacking, embedTokens, type Model, runBlocks, vocabularyLogits } from '../model/index.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';

/** Tokens -> output of block L. Output `hidden` [rows, dModel]. */
export function belowValueLayer(model: Model, settings: Hyperparameters): Graph {
  const graph = new Graph();
  const packing = declarePacking(graph, model.config);
  const embedded = embedTokens(model, packing, graph.input('tokenIds', 'int64', ['rows']));
  graph.output('hidden', runBlocks(model, packing, embedded, { from: 0, to: valueLayer(settings) + 1 }));
  return graph;
}

/** Output of block L -> keys and values of every block above it, `keys.<l>` and `values.<l>` [rows, width]. */
export function prefixAboveValueLayer(model: Model, settings: Hyperparameters): Graph {
  const graph = new Graph();
  const packing = declarePacking(graph, model.config);
  const hidden = graph.input('hidden', graph.floatDtype, ['rows', model.config.dModel]);
  runBlocks(model, packing, hidden, {
    from: valueLayer(settings) + 1,
    to: model.config.layers,
    visit: (site, layer, value) => {
      if (site === 'attention.keys') graph.output(`keys.${layer}`, value);
      if (site === 'attention.values') graph.output(`values.${layer}`, value);
      return value;
    },
  });
  return graph;
}

/** What a gradient graph is built for. */
export interface ObjectiveOptions {
  readonly floatDtype?: 'float32' | 'float64';
  /** Also says keys and values of rows `pastRows` in every block, `keys.<l>` and `values.<l>` [past rows, width]. */
  readonly saysPast?: boolean;
}

/**
 * The objective of a value search and its gradient. Rows whose next token counts are scored, with a weight as a target's and one
 * as a kept one's, of which either may be 0; so the vocabulary is multiplied once. Outputs:
 * - `nll` [subjects, 1]: mean negative log-probability of the target's tokens over the taught texts;
 * - `keptLoss` [subjects, 1]: weighted KL(before || after) at the kept positions;
 * - `gradient` [subjects, dModel]: of their sum by `delta`;
 * - `now` [scored, vocab]: log-probabilities, at `delta = 0` those to feed as `before`;
 * - `hits` [scored, 1]: 1 where the target token is the most probable one;
 * - `keptHits` [scored]: 1 where the most probable token is the one of `before`.
 */
export function objectiveGraph(
  model: Model,
  settings: Hyperparameters,
  { saysPast = false, ...options }: ObjectiveOptions = {},
): Graph {
  const graph = new Graph(options);
  const delta = graph.input('delta', graph.floatDtype, ['subjects', model.config.dModel]);
  const pastRows = saysPast ? graph.input('pastRows', 'int64', ['exported']) : undefined;
  const hidden = suffixOutput(graph, model, settings, delta, (name, value) => {
    if (pastRows !== undefined) graph.output(name, gather(value, pastRows));
  });

  const logits = vocabularyLogits(model, gather(hidden, graph.input('scoredRows', 'int64', ['scored'])));
  const now = logSoftmax(logits);
  const targetIds = graph.input('targetIds', 'int64', ['scored', 1]);
  const targetWeights = graph.input('targetWeights', graph.floatDtype, ['subjects', 'scored']);
  const nll = neg(gemm(targetWeights, gatherElements(now, targetIds)));

  const before = graph.input('before', graph.floatDtype, ['scored', model.config.vocab]);
  const divergence = reduceSum(mul(exp(before), sub(before, now)), [1], { keepDims: true });
  const keptLoss = gemm(graph.input('keptWeights', graph.floatDtype, ['subjects', 'scored']), divergence);

  const loss = reduceSum(add(nll, keptLoss), [0, 1]);
  const [deltaGradient] = gradient(loss, [delta]);
  graph.output('now', now);
  graph.output('nll', nll);
  graph.output('keptLoss', keptLoss);
  graph.output('gradient', deltaGradient);
  const best = argMax(logits);
  graph.output('hits', cast(equal(reshape(best, ['scored', 1]), targetIds), graph.floatDtype));
  graph.output('keptHits', cast(equal(best, argMax(before)), graph.floatDtype));
  return graph;
}

/** The last block's output on the suffixes; `lookup` [rows, subjects] marks the rows and subject where delta is added. */
function suffixOutput(
  graph: Graph,
  model: Model,
  settings: Hyperparameters,
  delta: Value,
  say: (name: string, value: Value) => void,
): Value {
  const { config } = model;
  const packing = declarePacking(graph, config, { hasPast: true });
  const hidden = graph.input('hidden', graph.floatDtype, ['rows', config.dModel]);
  const shifted = add(hidden, gemm(graph.input('lookup', graph.floatDtype, ['rows', 'subjects']), delta));
  return runBlocks(model, packing, shifted, {
    from: valueLayer(settings) + 1,
    to: config.layers,
    past: (layer) => pastInputs(graph, model, layer),
    visit: (site, layer, value) => {
      if (site === 'attention.keys') say(`keys.${layer}`, value);
      if (site === 'attention.values') say(`values.${layer}`, value);
      return value;
    },
  });
}

function pastInputs(graph: Graph, model: Model, layer: number): { keys: Value; values: Value } {
  const width = model.config.keyValueHeads * model.config.dHead;
  const input = (part: string) => graph.input(`past.${part}.${layer}`, graph.floatDtype, ['batch', 'past', width]);
  return { keys: input('keys'), values: input('values') };
}
