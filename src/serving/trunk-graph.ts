import { type GateKind, hookLayers } from '../editing/index.js';
import { Graph, gather } from '../graph/index.js';
import { declarePacking, embedTokens, type Model, runBlocks, type SiteVisitor } from '../model/index.js';

/**
 * All blocks of a model with its hooks, without the vocabulary. The same graph runs whole sequences and single tokens
 * after a cached past, so that weights are held once.
 *
 * Inputs beside packing and hooks: `tokenIds` [rows]; `lookupRows` [lookups], rows whose final state is wanted;
 * `cachedRows` [cached], rows whose attention keys and values are wanted; `past.keys.<l>`, `past.values.<l>` [batch,
 * past, width]. Outputs: `hidden` [lookups, dModel]; `keys.<l>`, `values.<l>` [cached, width]; of hooked layers
 * `open.<l>` bool [rows, 1], `strength.<l>` [rows, 1] and `edit.<l>` int64 [rows] as far as the gate has them.
 */
export function trunkGraph(model: Model, layers: readonly number[], gate: GateKind): Graph {
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
