/** @file Reverse mode: a backward pass made of the same nodes as the forward pass. */
import { InvalidInputError } from '../../errors.js';
import { sameShape } from '../dim.js';
import type { Node, Value } from '../graph.js';
import type { OperatorName } from '../operator-attributes.js';
import { describeValue } from '../requirements.js';
import { accumulate, isDifferentiable, sizeAsFloat } from '../shaping.js';
import { gradientTable } from './gradient-table.js';

/**
 * The gradients `d loss / d x` of a scalar with respect to values, as new values of the same graph. Only nodes on a
 * path from one of them to the loss get a backward pass.
 *
 * @param loss float, shape []
 * @param wrt  float values that the loss depends on
 * @returns one value for each of `wrt`, of its shape and dtype
 * @throws {InvalidInputError} if the loss is no float scalar, does not depend on one of `wrt`, or depends on it through
 *   an operator without gradient
 */
export function gradient(loss: Value, wrt: readonly Value[]): Value[] {
  if (loss.shape.length !== 0 || !isDifferentiable(loss)) {
    throw new InvalidInputError('gradient', 'a loss that is a float scalar', describeValue(loss));
  }
  const gradients = new Map<number, Value[]>([[loss.id, [sizeAsFloat([], loss)]]]);
  for (const node of nodesOnPaths(loss, wrt)) {
    propagate(node, gradients);
  }
  return wrt.map((value) => {
    const arrived = gradients.get(value.id);
    if (arrived === undefined)
      throw new InvalidInputError('gradient', 'values that the loss depends on', describeValue(value));
    return accumulate(arrived);
  });
}

interface PathNode {
  readonly node: Node;
  /** For each input, whether it is or depends on a value of `wrt`. */
  readonly needs: readonly boolean[];
}

/** The nodes between `wrt` and the loss, last first. */
function nodesOnPaths(loss: Value, wrt: readonly Value[]): readonly PathNode[] {
  const dependent = new Set(wrt.map((value) => value.id));
  const path: PathNode[] = [];
  for (const node of loss.graph.nodes) {
    const needs = node.inputs.map((input) => dependent.has(input.id) && isDifferentiable(input));
    if (!needs.includes(true)) continue;
    path.push({ node, needs });
    for (const output of node.outputs) dependent.add(output.id);
  }
  return path.reverse();
}

function propagate({ node, needs }: PathNode, gradients: Map<number, Value[]>): void {
  const reached = node.outputs.filter((output) => gradients.has(output.id));
  for (const output of reached) {
    const upstream = accumulate(gradients.get(output.id)!);
    gradients.set(output.id, [upstream]);
    inputGradients(node, output, upstream).forEach((build, index) => {
      if (build === null || !needs[index]) return;
      const input = node.inputs[index]!;
      const arrived = checked(node, input, build());
      gradients.set(input.id, [...(gradients.get(input.id) ?? []), arrived]);
    });
  }
}

function inputGradients<Name extends OperatorName>(
  { operator, inputs, attributes }: Node<Name>,
  output: Value,
  upstream: Value,
): readonly ((() => Value) | null)[] {
  const rule = gradientTable[operator];
  if (rule === null) throw new InvalidInputError('gradient', 'a path of differentiable operators', operator);
  return rule({ inputs, output, attributes, upstream });
}

function checked(node: Node, input: Value, arrived: Value): Value {
  if (arrived.dtype !== input.dtype || !sameShape(arrived.shape, input.shape)) {
    throw new InvalidInputError(`gradient of ${node.operator}`, describeValue(input), describeValue(arrived));
  }
  return arrived;
}
