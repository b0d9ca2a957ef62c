/** @file ONNX forms and shape rules of the operators that rearrange elements without computing on them. */
import { InvalidInputError } from '../errors.js';
import { addDims, broadcastShapes, type Dim, formatShape, multiplyDims, sameShape, symbolsOf } from './dim.js';
import type { Signature, Value } from './graph.js';
import { int, ints, type OnnxForm, type OperatorTable } from './operator.js';
import type { TargetShape } from './operator-attributes.js';
import { describeValue, requireSameDtype, requireShape } from './requirements.js';

function inferConcat(values: readonly Value[], axis: number): readonly Signature[] {
  requireSameDtype('concat', values);
  const first = values[0]!;
  const withoutAxis = ({ shape }: Value) => shape.filter((_, index) => index !== axis);
  const fits = values.every(
    (value) => value.shape.length === first.shape.length && sameShape(withoutAxis(value), withoutAxis(first)),
  );
  requireShape('concat', `shapes equal except in axis ${axis}`, fits, ...values);
  const total = addDims(...values.map((value) => [value.shape[axis]!, 1] as const));
  return [{ dtype: first.dtype, shape: first.shape.map((dim, index) => (index === axis ? total : dim)) }];
}

function inferReshape(x: Value, shape: readonly Dim[]): readonly Signature[] {
  const before = multiplyDims(x.shape);
  const after = multiplyDims(shape);
  const known = x.shape.flatMap(symbolsOf);
  // A symbol that x lacks (`rows` for `batch*tokens`) cannot be checked here. ONNX Runtime does it at every run.
  const renames = shape.some((dim) => symbolsOf(dim).some((symbol) => !known.includes(symbol)));
  if (before !== after && (!renames || (typeof before === 'number' && typeof after === 'number'))) {
    throw new InvalidInputError('reshape', `as many elements as ${formatShape(shape)}`, describeValue(x));
  }
  return [{ dtype: x.dtype, shape }];
}

function inferSlice(x: Value, axis: number, start: Dim, end: Dim): readonly Signature[] {
  const size = addDims([end, 1], [start, -1]);
  const whole = x.shape[axis]!;
  const inside = [start, size, addDims([whole, 1], [end, -1])].every((dim) => typeof dim === 'string' || dim >= 0);
  requireShape('slice', `0 <= start <= end <= size of axis ${axis}, with start ${start}, end ${end}`, inside, x);
  return [{ dtype: x.dtype, shape: x.shape.map((dim, index) => (index === axis ? size : dim)) }];
}

function targetForm(type: string) {
  return ({ target }: TargetShape): OnnxForm => ({ type, ...(target !== null && { integers: [target] }) });
}

export const shapingRules: OperatorTable<
  'concat' | 'slice' | 'reshape' | 'squeeze' | 'unsqueeze' | 'transpose' | 'expand' | 'sizeOf'
> = {
  concat: {
    onnx: ({ axis }) => ({ type: 'Concat', attributes: { axis: int(axis) } }),
    infer: (values, { axis }) => inferConcat(values, axis),
  },
  slice: {
    onnx: ({ axis, bounds }) => ({
      type: 'Slice',
      integers: bounds === null ? [[axis]] : [[bounds[0]], [bounds[1]], [axis]],
    }),
    infer: ([x], { axis, start, end }) => inferSlice(x!, axis, start, end),
  },
  reshape: {
    onnx: targetForm('Reshape'),
    infer: ([x], { shape }) => inferReshape(x!, shape),
  },
  squeeze: {
    onnx: ({ axes }) => ({ type: 'Squeeze', integers: [axes] }),
    infer: ([x], { axes }) => {
      requireShape(
        'squeeze',
        `size 1 in axes ${axes}`,
        axes.every((axis) => x!.shape[axis] === 1),
        x!,
      );
      return [{ dtype: x!.dtype, shape: x!.shape.filter((_, axis) => !axes.includes(axis)) }];
    },
  },
  unsqueeze: {
    onnx: ({ axes }) => ({ type: 'Unsqueeze', integers: [axes] }),
    infer: ([x], { axes }) => {
      const rest = [...x!.shape];
      const rank = rest.length + axes.length;
      return [
        {
          dtype: x!.dtype,
          shape: Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
        },
      ];
    },
  },
  transpose: {
    onnx: ({ permutation }) => ({ type: 'Transpose', attributes: { perm: ints(permutation) } }),
    infer: ([x], { permutation }) => {
      const sorted = [...permutation].sort((a, b) => a - b);
      const fits = sorted.length === x!.shape.length && sorted.every((axis, index) => axis === index);
      requireShape('transpose', `a permutation of the axes, with ${permutation}`, fits, x!);
      return [{ dtype: x!.dtype, shape: permutation.map((axis) => x!.shape[axis]!) }];
    },
  },
  expand: {
    onnx: targetForm('Expand'),
    infer: ([x], { shape }) => {
      const fits = sameShape(broadcastShapes('expand', x!.shape, shape), shape);
      requireShape('expand', `a shape that broadcasts to ${formatShape(shape)}`, fits, x!);
      return [{ dtype: x!.dtype, shape }];
    },
  },
  sizeOf: {
    onnx: ({ axis }) => ({ type: 'Shape', attributes: { start: int(axis), end: int(axis + 1) } }),
    infer: () => [{ dtype: 'int64', shape: [1] }],
  },
};
