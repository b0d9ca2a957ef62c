import type { Graph, Value } from '../graph/index.js';
import type { ModelContext, PastKeysValues, SiteVisitor } from './blocks/architecture.js';
import type { Packing } from './blocks/packing.js';
import type { Model } from './model.js';

/**
 * Token embeddings, with learned positions if the architecture has them.
 *
 * @param tokenIds int64 [rows]
 * @returns [rows, dModel]
 */
export function embedTokens(model: Model, packing: Packing, tokenIds: Value): Value {
  return model.architecture.embed({ ...modelContext(tokenIds.graph, model), packing }, tokenIds);
}

/** Which blocks to run, and what to do at their sites. */
export interface BlockRange {
  /** First block. */
  readonly from: number;
  /** One past the last block. */
  readonly to: number;
  readonly visit?: SiteVisitor;
  /** Keys and values of earlier tokens, if the packing has a past. */
  readonly past?: (layer: number) => PastKeysValues;
}

/**
 * Runs blocks `from .. to - 1` on the residual stream.
 *
 * @param hidden [rows, dModel]
 * @returns [rows, dModel]
 */
export function runBlocks(model: Model, packing: Packing, hidden: Value, range: BlockRange): Value {
  const { graph } = hidden;
  const { weight } = modelContext(graph, model);
  const visit = range.visit ?? ((_site, _layer, value) => value);
  let current = hidden;
  for (let layer = range.from; layer < range.to; layer++) {
    const past = range.past?.(layer);
    current = model.architecture.block(
      {
        graph,
        config: model.config,
        layer,
        packing,
        weight,
        site: (site, value) => visit(site, layer, value),
        ...(past && { past }),
      },
      current,
    );
  }
  return current;
}

/**
 * Final norm and vocabulary projection.
 *
 * @param hidden [n, dModel]
 * @returns logits [n, vocab]
 */
export function vocabularyLogits(model: Model, hidden: Value): Value {
  return model.architecture.head(modelContext(hidden.graph, model), hidden);
}

function modelContext(graph: Graph, model: Model): Omit<ModelContext, 'packing'> {
  return {
    graph,
    config: model.config,
    weights: model.weights,
    weight: (name) => graph.weight(model.weights.location(name)),
  };
}
