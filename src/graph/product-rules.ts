/** @file ONNX forms and shape rules of matrix products and of the two softmaxes. */
import { InvalidInputError } from '../errors.js';
import { broadcastShapes, type Dim } from './dim.js';
import type { Signature, Value } from './graph.js';
import { float, int, type OperatorTable } from './operator.js';
import type { GemmAttributes } from './operator-attributes.js';
import { describeValue, floats, requireDtype, requireSameDtype, requireShape } from './requirements.js';

function operandDims(value: Value, transposed: boolean): readonly [rows: Dim, columns: Dim] {
  const [rows, columns] = value.shape.slice(-2) as [Dim, Dim];
  return transposed ? [columns, rows] : [rows, columns];
}

function inferGemm([a, b, bias]: readonly Value[], { transA, transB }: GemmAttributes): readonly Signature[] {
  const operands = bias === undefined ? [a!, b!] : [a!, b!, bias];
  requireDtype('gemm', floats, ...operands);
  requireSameDtype('gemm', operands);
  requireShape('gemm', 'matrices', a!.shape.length === 2 && b!.shape.length === 2, ...operands);
  const [rows, inner] = operandDims(a!, transA);
  const [innerB, columns] = operandDims(b!, transB);
  const requirement = `equal inner sizes (transA ${transA}, transB ${transB})`;
  requireShape('gemm', requirement, inner === innerB, a!, b!);
  const shape = [rows, columns];
  if (bias !== undefined) requireBias(bias, shape);
  return [{ dtype: a!.dtype, shape }];
}

function requireBias(bias: Value, shape: readonly Dim[]): void {
  const offset = 2 - bias.shape.length;
  const fits = offset >= 0 && bias.shape.every((dim, axis) => dim === 1 || dim === shape[axis + offset]);
  if (!fits)
    throw new InvalidInputError('gemm', `a bias that broadcasts to [${shape.join(', ')}]`, describeValue(bias));
}

export const productRules: OperatorTable<'gemm' | 'matMul' | 'softmax' | 'logSoftmax'> = {
  gemm: {
    onnx: ({ transA, transB, alpha }) => ({
      type: 'Gemm',
      attributes: { transA: int(Number(transA)), transB: int(Number(transB)), alpha: float(alpha) },
    }),
    infer: inferGemm,
  },
  matMul: {
    onnx: ({ transA, transB }) =>
      transA || transB
        ? {
            type: 'FusedMatMul',
            domain: 'com.microsoft',
            attributes: { transA: int(Number(transA)), transB: int(Number(transB)) },
          }
        : { type: 'MatMul' },
    infer: ([a, b], { transA, transB }) => {
      requireDtype('matMul', floats, a!, b!);
      requireSameDtype('matMul', [a!, b!]);
      requireShape('matMul', 'operands of rank 2 or more', a!.shape.length >= 2 && b!.shape.length >= 2, a!, b!);
      const [rows, inner] = operandDims(a!, transA);
      const [innerB, columns] = operandDims(b!, transB);
      const requirement = `equal inner sizes (transA ${transA}, transB ${transB})`;
      requireShape('matMul', requirement, inner === innerB, a!, b!);
      const batch = broadcastShapes('matMul', a!.shape.slice(0, -2), b!.shape.slice(0, -2));
      return [{ dtype: a!.dtype, shape: [...batch, rows, columns] }];
    },
  },
  softmax: {
    onnx: () => ({ type: 'Softmax', attributes: { axis: int(-1) } }),
    infer: lastAxisFloat('softmax'),
  },
  logSoftmax: {
    onnx: () => ({ type: 'LogSoftmax', attributes: { axis: int(-1) } }),
    infer: lastAxisFloat('logSoftmax'),
  },
};

function lastAxisFloat(operator: 'softmax' | 'logSoftmax') {
  return ([x]: readonly Value[]): readonly Signature[] => {
    requireDtype(operator, floats, x!);
    requireShape(operator, 'a tensor of rank 1 or more', x!.shape.length >= 1, x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  };
}
