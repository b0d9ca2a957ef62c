/** @file How builders record a node: shape rule first, then the graph. */
import { InvalidInputError } from '../errors.js';
import type { Graph, Value } from './graph.js';
import type { OperatorAttributes, OperatorName } from './operator-attributes.js';
import { operatorTable } from './operator-table.js';

/**
 * Records one node and returns its results.
 *
 * @throws {InvalidInputError} if the inputs lie in different graphs or break the operator's shape rule
 */
export function emit<Name extends OperatorName>(
  operator: Name,
  inputs: readonly Value[],
  attributes: OperatorAttributes[Name],
): readonly Value[] {
  const graph = commonGraph(operator, inputs);
  return graph.append(operator, inputs, attributes, operatorTable[operator].infer(inputs, attributes));
}

/** {@link emit} for operators with one result. */
export function emitOne<Name extends OperatorName>(
  operator: Name,
  inputs: readonly Value[],
  attributes: OperatorAttributes[Name],
): Value {
  return emit(operator, inputs, attributes)[0]!;
}

function commonGraph(operator: string, inputs: readonly Value[]): Graph {
  const graph = inputs[0]?.graph;
  if (graph === undefined || inputs.some((input) => input.graph !== graph)) {
    throw new InvalidInputError(
      operator,
      'one or more values of one graph',
      `${inputs.length} of several graphs or none`,
    );
  }
  return graph;
}
