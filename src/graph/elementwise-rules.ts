/** @file ONNX forms and shape rules of the operators that work element by element. */
import type { Dtype } from '../tensor/index.js';
import { broadcastShapes } from './dim.js';
import { dtypeCode } from './dtype-code.js';
import type { Signature, Value } from './graph.js';
import { int, type Operator, type OperatorTable } from './operator.js';
import type { None, OperatorName } from './operator-attributes.js';
import { booleans, type DtypeSet, floats, numbers, requireDtype, requireSameDtype } from './requirements.js';

type Infer = (inputs: readonly Value[]) => readonly Signature[];

function pairwise(operator: OperatorName, set: DtypeSet, result?: Dtype): Infer {
  return (inputs) => {
    requireSameDtype(operator, inputs);
    requireDtype(operator, set, ...inputs);
    const shape = broadcastShapes(operator, ...inputs.map((input) => input.shape));
    return [{ dtype: result ?? inputs[0]!.dtype, shape }];
  };
}

function single(operator: OperatorName, set: DtypeSet): Infer {
  return ([x]) => {
    requireDtype(operator, set, x!);
    return [{ dtype: x!.dtype, shape: x!.shape }];
  };
}

/** A unary operator whose result has the dtype of its input; floats by default. */
function unary(operator: OperatorName, onnx: string, set: DtypeSet = floats): Operator<None> {
  return { onnx, infer: single(operator, set) };
}

/** An operator whose result is a truth value. */
function logical(operator: OperatorName, onnx: string, set: DtypeSet): Operator<None> {
  return { onnx, infer: pairwise(operator, set, 'bool') };
}

const arithmetic: OperatorTable<'add' | 'sub' | 'mul' | 'div' | 'maximum'> = {
  add: { onnx: 'Add', infer: pairwise('add', numbers) },
  sub: { onnx: 'Sub', infer: pairwise('sub', numbers) },
  mul: { onnx: 'Mul', infer: pairwise('mul', numbers) },
  div: { onnx: 'Div', infer: pairwise('div', numbers) },
  maximum: { onnx: 'Max', infer: pairwise('maximum', numbers) },
};

const functions: OperatorTable<
  'neg' | 'exp' | 'log' | 'sqrt' | 'reciprocal' | 'sigmoid' | 'tanh' | 'erf' | 'abs' | 'sign'
> = {
  neg: unary('neg', 'Neg', numbers),
  exp: unary('exp', 'Exp'),
  log: unary('log', 'Log'),
  sqrt: unary('sqrt', 'Sqrt'),
  reciprocal: unary('reciprocal', 'Reciprocal'),
  sigmoid: unary('sigmoid', 'Sigmoid'),
  tanh: unary('tanh', 'Tanh'),
  erf: unary('erf', 'Erf'),
  abs: unary('abs', 'Abs', numbers),
  sign: unary('sign', 'Sign', numbers),
};

const choices: OperatorTable<'cast' | 'where' | 'greaterOrEqual' | 'less' | 'equal' | 'and' | 'not'> = {
  cast: {
    onnx: ({ to }) => ({ type: 'Cast', attributes: { to: int(dtypeCode(to)) } }),
    infer: ([x], { to }) => [{ dtype: to, shape: x!.shape }],
  },
  where: {
    onnx: 'Where',
    infer: ([condition, ...choices]) => {
      requireDtype('where', booleans, condition!);
      requireSameDtype('where', choices);
      const shape = broadcastShapes('where', ...[condition!, ...choices].map((input) => input.shape));
      return [{ dtype: choices[0]!.dtype, shape }];
    },
  },
  greaterOrEqual: logical('greaterOrEqual', 'GreaterOrEqual', numbers),
  less: logical('less', 'Less', numbers),
  equal: logical('equal', 'Equal', { name: 'a number or bool', members: [...numbers.members, 'bool'] }),
  and: logical('and', 'And', booleans),
  not: { onnx: 'Not', infer: single('not', booleans) },
};

export const elementwiseRules = { ...arithmetic, ...functions, ...choices };
