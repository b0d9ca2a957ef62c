/** @file Gradient rules of the operators that sum axes up or pick the largest element. */
import type { Dim } from '../dim.js';
import { cast, div, equal, mul } from '../elementwise.js';
import type { Value } from '../graph.js';
import type { ReduceAttributes } from '../operator-attributes.js';
import { reduceSum } from '../reductions.js';
import { expand, sizeAsFloat, unsqueeze } from '../shaping.js';
import type { Application, GradientTable } from './gradient-rule.js';

/** A reduced value with its axes back, of size 1. */
function restoreAxes(value: Value, { axes, keepDims }: ReduceAttributes): Value {
  return keepDims ? value : unsqueeze(value, axes);
}

function spread({ upstream, inputs: [x], attributes }: Application<ReduceAttributes>): Value {
  return expand(restoreAxes(upstream, attributes), x!.shape);
}

export const reductionGradients: GradientTable<'reduceSum' | 'reduceMean' | 'reduceMax' | 'argMax' | 'topK'> = {
  reduceSum: (application) => [() => spread(application)],
  reduceMean: (application) => [
    () => {
      const { inputs, attributes, upstream } = application;
      const reduced: readonly Dim[] = attributes.axes.map((axis) => inputs[0]!.shape[axis]!);
      const scaled = div(upstream, sizeAsFloat(reduced, upstream));
      return spread({ ...application, upstream: scaled });
    },
  ],
  // Elements that tie for the maximum share its gradient equally.
  reduceMax: ({ upstream, output, inputs: [x], attributes }) => [
    () => {
      const maximum = restoreAxes(output, attributes);
      const ties = cast(equal(x!, maximum), upstream.dtype);
      const count = reduceSum(ties, attributes.axes, { keepDims: true });
      return mul(ties, div(restoreAxes(upstream, attributes), count));
    },
  ],
  argMax: null,
  topK: null,
};
