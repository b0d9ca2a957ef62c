import { type Hyperparameters, hookLayers, valueLayer } from '../../src/editing/index.js';
import { Graph, gather } from '../../src/graph/index.js';
import { declarePacking, embedTokens, type Model, runBlocks } from '../../src/model/index.js';

/** What `KeyCollection` computes, to count its arithmetic. */
export function collectionGraph(model: Model, settings: Hyperparameters): Graph {
  const graph = new Graph();
  const packing = declarePacking(graph, model.config);
  const tokenIds = graph.input('tokenIds', 'int64', ['rows']);
  const lookupRows = graph.input('lookupRows', 'int64', ['lookups']);
  const hook = hookLayers(graph, packing, settings.layers, settings.gate, (layer, { strength }) => {
    if (strength) graph.output(`strength.${layer}`, strength);
  });
  const to = valueLayer(settings) + 1;
  const hidden = runBlocks(model, packing, embedTokens(model, packing, tokenIds), { from: 0, to, visit: hook });
  graph.output('hidden', gather(hidden, lookupRows));
  return graph;
}
