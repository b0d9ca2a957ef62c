/** @file From a graph to a plain description of an ONNX model, without protobuf. */
import type { Dtype, Tensor, TensorLocation } from '../tensor/index.js';
import { tensor } from '../tensor/index.js';
import type { Dim } from './dim.js';
import type { Graph, Node, Source, Value } from './graph.js';
import { liveParts } from './live-nodes.js';
import type { OnnxAttribute, OnnxForm } from './operator.js';
import type { OperatorName } from './operator-attributes.js';
import { operatorTable } from './operator-table.js';

/** Name, dtype and shape of an input or output. */
export interface OnnxPort {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly Dim[];
}

/** One node of an ONNX graph; `domain` is empty for the standard operators. */
export interface OnnxNode {
  readonly type: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A constant: stored in the model, or in a file beside it. */
export interface OnnxInitializer {
  readonly name: string;
  readonly content: Tensor | TensorLocation;
}

/** An ONNX model as plain data. */
export interface OnnxModel {
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
}

/** Describes the part of a graph that its outputs need. */
export function lowerGraph(graph: Graph): OnnxModel {
  const { nodes, sources } = liveParts(graph);
  const names = new Names(graph);
  const integers = new IntegerConstants();
  const lowered = nodes.map((node) => lowerNode(node, names, integers));
  return {
    inputs: sources.flatMap((source) => (source.kind === 'input' ? [port(source.name, source.value)] : [])),
    outputs: [...graph.outputs].map(([name, value]) => port(name, value)),
    nodes: [...lowered, ...names.aliases()],
    initializers: [...sources.flatMap((source) => initializer(source, names)), ...integers.initializers()],
  };
}

function port(name: string, { dtype, shape }: Value): OnnxPort {
  return { name, dtype, shape };
}

function initializer(source: Source, names: Names): readonly OnnxInitializer[] {
  if (source.kind === 'input') return [];
  return [{ name: names.of(source.value), content: source.kind === 'constant' ? source.tensor : source.location }];
}

function lowerNode(node: Node, names: Names, integers: IntegerConstants): OnnxNode {
  const form = onnxForm(node);
  const inputs = node.inputs.slice(0, form.operands).map((input) => names.of(input));
  return {
    type: form.type,
    domain: form.domain ?? '',
    inputs: [...inputs, ...(form.integers ?? []).map((vector) => integers.name(vector))],
    outputs: node.outputs.map((output) => names.of(output)),
    attributes: form.attributes ?? {},
  };
}

function onnxForm<Name extends OperatorName>({ operator, attributes }: Node<Name>): OnnxForm {
  const { onnx } = operatorTable[operator];
  return typeof onnx === 'string' ? { type: onnx } : onnx(attributes);
}

/** Decides all names: inputs and outputs keep theirs, all others are `%id`. */
class Names {
  readonly #names = new Map<number, string>();
  readonly #aliases: OnnxNode[] = [];

  constructor(graph: Graph) {
    for (const source of graph.sources) if (source.kind === 'input') this.#names.set(source.value.id, source.name);
    for (const [name, value] of graph.outputs) {
      const isFree = graph.producer(value) !== undefined && !this.#names.has(value.id);
      if (isFree) this.#names.set(value.id, name);
      else this.#aliases.push(identity(this.of(value), name));
    }
  }

  of(value: Value): string {
    return this.#names.get(value.id) ?? `%${value.id}`;
  }

  /** Copies for outputs whose value is an input, a constant, or has another output's name. */
  aliases(): readonly OnnxNode[] {
    return this.#aliases;
  }
}

function identity(from: string, to: string): OnnxNode {
  return { type: 'Identity', domain: '', inputs: [from], outputs: [to], attributes: {} };
}

class IntegerConstants {
  readonly #vectors = new Map<string, readonly number[]>();

  name(vector: readonly number[]): string {
    const name = `%[${vector}]`;
    this.#vectors.set(name, vector);
    return name;
  }

  initializers(): readonly OnnxInitializer[] {
    return [...this.#vectors].map(([name, vector]) => ({
      name,
      content: tensor('int64', [vector.length], BigInt64Array.from(vector, BigInt)),
    }));
  }
}
