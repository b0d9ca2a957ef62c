/** @file Which part of a graph its outputs need. */
import type { Graph, Node, Source, Value } from './graph.js';

/** Nodes and sources that some output needs, in order of recording. All inputs are kept, since they are fed anyway. */
export function liveParts(graph: Graph): { readonly nodes: readonly Node[]; readonly sources: readonly Source[] } {
  const needed = new Set<number>([...graph.outputs.values()].map((value) => value.id));
  const isNeeded = (value: Value) => needed.has(value.id);
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some(isNeeded)) continue;
    nodes.push(node);
    for (const input of node.inputs) needed.add(input.id);
  }
  return {
    nodes: nodes.reverse(),
    sources: graph.sources.filter((source) => source.kind === 'input' || isNeeded(source.value)),
  };
}
