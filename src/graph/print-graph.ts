/** @file A readable text form of a graph, for tests and debugging. */
import type { Graph, Node, Source, Value } from './graph.js';
import { liveParts } from './live-nodes.js';
import { describeValue } from './requirements.js';

/**
 * The part of a graph that its outputs need, a line for each node: `%2: float32[rows, 3] = gemm x %0 {"transB":true}`.
 * Numbers are written where they are used. Values are numbered anew, so that unused nodes do not change the text.
 */
export function printGraph(graph: Graph): string {
  const { nodes, sources } = liveParts(graph);
  const names = nameValues(nodes, sources);
  const name = (value: Value) => names.get(value.id)!;
  const lines = [
    ...sources.flatMap((source) => printSource(source, name)),
    ...nodes.map((node) => printNode(node, name)),
    ...[...graph.outputs].map(([outputName, value]) => `${outputName} = ${name(value)}`),
  ];
  return lines.join('\n');
}

function nameValues(nodes: readonly Node[], sources: readonly Source[]): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  let next = 0;
  for (const source of sources) names.set(source.value.id, inlineText(source) ?? `%${next++}`);
  for (const node of nodes) for (const output of node.outputs) names.set(output.id, `%${next++}`);
  return names;
}

/** Inputs by name, single numbers as such. */
function inlineText(source: Source): string | undefined {
  if (source.kind === 'input') return source.name;
  if (source.kind !== 'constant' || source.tensor.data.length !== 1) return undefined;
  return source.tensor.shape.length === 0 ? String(source.tensor.data[0]) : `[${source.tensor.data[0]}]`;
}

function printSource(source: Source, name: (value: Value) => string): readonly string[] {
  if (source.kind === 'input') return [`input ${source.name}: ${describeValue(source.value)}`];
  return inlineText(source) === undefined
    ? [`${source.kind} ${name(source.value)}: ${describeValue(source.value)}`]
    : [];
}

function printNode(node: Node, name: (value: Value) => string): string {
  const results = node.outputs.map((output) => `${name(output)}: ${describeValue(output)}`).join(', ');
  const attributes = Object.entries(node.attributes).filter(([, value]) => value !== false && value !== null);
  const suffix = attributes.length === 0 ? '' : ` ${JSON.stringify(Object.fromEntries(attributes))}`;
  return `${results} = ${node.operator} ${node.inputs.map(name).join(' ')}${suffix}`;
}
