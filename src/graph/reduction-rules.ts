/** @file ONNX forms and shape rules of the operators that sum axes up or pick the largest element. */
import type { Signature, Value } from './graph.js';
import { int, type OnnxForm, type OperatorTable } from './operator.js';
import type { ReduceAttributes } from './operator-attributes.js';
import { numbers, requireDtype, requireShape } from './requirements.js';

type Reduction = 'reduceSum' | 'reduceMean' | 'reduceMax';

function reduceForm(type: string) {
  return ({ axes, keepDims }: ReduceAttributes): OnnxForm => ({
    type,
    attributes: { keepdims: int(Number(keepDims)) },
    integers: [axes],
  });
}

function inferReduce(operator: Reduction) {
  return ([x]: readonly Value[], { axes, keepDims }: ReduceAttributes): readonly Signature[] => {
    requireDtype(operator, numbers, x!);
    requireShape(
      operator,
      'at least one axis, none named twice',
      axes.length > 0 && new Set(axes).size === axes.length,
      x!,
    );
    const shape = keepDims
      ? x!.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
      : x!.shape.filter((_, axis) => !axes.includes(axis));
    return [{ dtype: x!.dtype, shape }];
  };
}

export const reductionRules: OperatorTable<Reduction | 'argMax' | 'topK'> = {
  reduceSum: {
    onnx: reduceForm('ReduceSum'),
    infer: inferReduce('reduceSum'),
  },
  reduceMean: {
    onnx: reduceForm('ReduceMean'),
    infer: inferReduce('reduceMean'),
  },
  reduceMax: {
    onnx: reduceForm('ReduceMax'),
    infer: inferReduce('reduceMax'),
  },
  argMax: {
    onnx: () => ({ type: 'ArgMax', attributes: { axis: int(-1), keepdims: int(0) } }),
    infer: ([x]) => {
      requireDtype('argMax', numbers, x!);
      requireShape('argMax', 'a tensor of rank 1 or more', x!.shape.length >= 1, x!);
      return [{ dtype: 'int64', shape: x!.shape.slice(0, -1) }];
    },
  },
  topK: {
    onnx: ({ k }) => ({ type: 'TopK', attributes: { axis: int(-1) }, integers: [[k]] }),
    infer: ([x], { k }) => {
      requireDtype('topK', numbers, x!);
      requireShape('topK', 'a tensor of rank 1 or more', x!.shape.length >= 1, x!);
      const last = x!.shape[x!.shape.length - 1]!;
      const fits = Number.isInteger(k) && k >= 1 && (typeof last === 'string' || k <= last);
      requireShape('topK', `1 <= k <= size of the last axis, with k = ${k}`, fits, x!);
      const shape = [...x!.shape.slice(0, -1), k];
      return [
        { dtype: x!.dtype, shape },
        { dtype: 'int64', shape },
      ];
    },
  },
};
