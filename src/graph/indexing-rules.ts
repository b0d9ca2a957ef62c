/** @file ONNX forms and shape rules of the operators that read and add at computed positions. */
import { sameShape } from './dim.js';
import type { Signature, Value } from './graph.js';
import { int, type OperatorTable, text } from './operator.js';
import { indices as int64, requireDtype, requireSameDtype, requireShape } from './requirements.js';

function inferGather(operator: 'gather' | 'takeRows', table: Value, indices: Value): readonly Signature[] {
  requireDtype(operator, int64, indices);
  requireShape(operator, 'a table of rank 1 or more', table.shape.length >= 1, table, indices);
  return [{ dtype: table.dtype, shape: [...indices.shape, ...table.shape.slice(1)] }];
}

export const indexingRules: OperatorTable<'gather' | 'takeRows' | 'gatherElements' | 'scatterElementsAdd'> = {
  gather: {
    onnx: () => ({ type: 'Gather', attributes: { axis: int(0) } }),
    infer: ([table, indices]) => inferGather('gather', table!, indices!),
  },
  // Only the gradient uses the inverse index; the forward pass does not.
  takeRows: {
    onnx: () => ({ type: 'Gather', operands: 2, attributes: { axis: int(0) } }),
    infer: ([x, index, inverse]) => {
      requireShape('takeRows', 'a matrix x', x!.shape.length === 2, x!);
      requireDtype('takeRows', int64, inverse!);
      const fits = sameShape(inverse!.shape, x!.shape.slice(0, 1));
      requireShape('takeRows', 'an inverse with one entry per row of x', fits, x!, index!, inverse!);
      return inferGather('takeRows', x!, index!);
    },
  },
  gatherElements: {
    onnx: ({ axis }) => ({ type: 'GatherElements', attributes: { axis: int(axis) } }),
    infer: ([x, indices], { axis }) => {
      requireDtype('gatherElements', int64, indices!);
      const fits = equalExceptAxis(x!, indices!, axis);
      requireShape('gatherElements', `shapes equal except in axis ${axis}`, fits, x!, indices!);
      return [{ dtype: x!.dtype, shape: indices!.shape }];
    },
  },
  // Not ScatterND: with several threads its CPU kernel loses additions to the same place.
  scatterElementsAdd: {
    onnx: ({ axis }) => ({ type: 'ScatterElements', attributes: { axis: int(axis), reduction: text('add') } }),
    infer: ([base, indices, updates], { axis }) => {
      requireDtype('scatterElementsAdd', int64, indices!);
      requireSameDtype('scatterElementsAdd', [base!, updates!]);
      const fits = sameShape(updates!.shape, indices!.shape) && equalExceptAxis(base!, indices!, axis);
      const requirement = `updates and indices of one shape, equal to the base except in axis ${axis}`;
      requireShape('scatterElementsAdd', requirement, fits, base!, indices!, updates!);
      return [{ dtype: base!.dtype, shape: base!.shape }];
    },
  },
};

function equalExceptAxis(a: Value, b: Value, axis: number): boolean {
  const rest = ({ shape }: Value) => shape.filter((_, index) => index !== axis);
  return a.shape.length === b.shape.length && sameShape(rest(a), rest(b));
}
