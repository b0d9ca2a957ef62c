/** @file Writes our operators for older versions of ONNX's standard operator set. */
import { InvalidInputError } from '../errors.js';
import type { Tensor } from '../tensor/index.js';
import type { OnnxInitializer, OnnxModel, OnnxNode } from './lower.js';
import { ints } from './operator.js';

/** The first operator set in which an operator has the same meaning as in the one we write. */
const since: Readonly<Record<string, number>> = {
  Add: 7,
  Sub: 7,
  Mul: 7,
  Div: 7,
  Max: 8,
  Sqrt: 6,
  Gemm: 11,
  Where: 9,
  Equal: 11,
  GreaterOrEqual: 12,
  ArgMax: 11,
  Identity: 1,
  Squeeze: 11,
  Unsqueeze: 11,
  ReduceSum: 11,
  ReduceMax: 11,
};

/** The first operator set in which the axes are an input. Before, they are an attribute. */
const axesInputSince: Readonly<Record<string, number>> = { Squeeze: 13, Unsqueeze: 13, ReduceSum: 13, ReduceMax: 18 };

/**
 * The same model for a file with another operator set.
 *
 * @throws {InvalidInputError} naming an operator that the set lacks in the form we need
 */
export function forOpset(model: OnnxModel, opset: number): OnnxModel {
  const constants = new Map(model.initializers.map(({ name, content }) => [name, content]));
  const nodes = model.nodes.map((node) => adapt(node, opset, constants));
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  return { ...model, nodes, initializers: model.initializers.filter(({ name }) => used.has(name)) };
}

function adapt(node: OnnxNode, opset: number, constants: ReadonlyMap<string, OnnxInitializer['content']>): OnnxNode {
  const first = node.domain === '' ? since[node.type] : undefined;
  if (first === undefined || opset < first) {
    const requirement = first === undefined ? 'an operator with a plain form' : `operator set ${first} or later`;
    throw new InvalidInputError(`operator ${node.domain}${node.domain && '.'}${node.type}`, requirement, `${opset}`);
  }
  if (opset >= (axesInputSince[node.type] ?? 0)) return node;
  const [data, axes] = node.inputs as [string, string];
  const { data: numbers } = constants.get(axes) as Tensor<'int64'>;
  return { ...node, inputs: [data], attributes: { ...node.attributes, axes: ints(Array.from(numbers, Number)) } };
}
