/** @file Builders of operators that work element by element, with broadcasting. */
import { InvalidInputError } from '../errors.js';
import type { Dtype } from '../tensor/index.js';
import { emitOne } from './emit.js';
import type { Value } from './graph.js';

/** A value, or a number that becomes a scalar of the other operand's float dtype. */
export type Operand = Value | number;

type Pairwise = 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'greaterOrEqual' | 'less' | 'equal';

function pair(operator: Pairwise, a: Operand, b: Operand): Value {
  const like = typeof a === 'number' ? b : a;
  if (typeof like === 'number') throw new InvalidInputError(operator, 'at least one value', `${a} and ${b}`);
  return emitOne(operator, [lift(operator, a, like), lift(operator, b, like)], {});
}

function lift(operator: string, operand: Operand, like: Value): Value {
  if (typeof operand !== 'number') return operand;
  if (like.dtype !== 'float32' && like.dtype !== 'float64') {
    throw new InvalidInputError(operator, 'a float operand beside a number', like.dtype);
  }
  return like.graph.scalar(operand, like.dtype);
}

/** `a + b` */
export const add = (a: Operand, b: Operand): Value => pair('add', a, b);
/** `a - b` */
export const sub = (a: Operand, b: Operand): Value => pair('sub', a, b);
/** `a * b`, element by element */
export const mul = (a: Operand, b: Operand): Value => pair('mul', a, b);
/** `a / b` */
export const div = (a: Operand, b: Operand): Value => pair('div', a, b);
/** `max(a, b)`; where they tie, the gradient goes to `a` */
export const maximum = (a: Operand, b: Operand): Value => pair('maximum', a, b);
/** `a >= b` as bool */
export const greaterOrEqual = (a: Operand, b: Operand): Value => pair('greaterOrEqual', a, b);
/** `a < b` as bool */
export const less = (a: Operand, b: Operand): Value => pair('less', a, b);
/** `a == b` as bool */
export const equal = (a: Operand, b: Operand): Value => pair('equal', a, b);

/** `-x` */
export const neg = (x: Value): Value => emitOne('neg', [x], {});
/** `eˣ` */
export const exp = (x: Value): Value => emitOne('exp', [x], {});
/** The natural logarithm. */
export const log = (x: Value): Value => emitOne('log', [x], {});
/** `√x` */
export const sqrt = (x: Value): Value => emitOne('sqrt', [x], {});
/** `1 / x` */
export const reciprocal = (x: Value): Value => emitOne('reciprocal', [x], {});
/** `1 / (1 + e⁻ˣ)` */
export const sigmoid = (x: Value): Value => emitOne('sigmoid', [x], {});
/** The hyperbolic tangent. */
export const tanh = (x: Value): Value => emitOne('tanh', [x], {});
/** `2/√π ∫₀ˣ e^(-t²) dt`; ONNX Runtime's CPU has it in float32 only. */
export const erf = (x: Value): Value => emitOne('erf', [x], {});
/** `|x|` */
export const abs = (x: Value): Value => emitOne('abs', [x], {});
/** -1, 0 or 1; it has no gradient. */
export const sign = (x: Value): Value => emitOne('sign', [x], {});

/** The same elements in another dtype. A cast to the same dtype adds no node. */
export const cast = (x: Value, dtype: Dtype): Value => (x.dtype === dtype ? x : emitOne('cast', [x], { to: dtype }));
/** `a` where the bool condition holds, else `b`; all three broadcast. Slow on the CPU: prefer an additive mask. */
export const where = (condition: Value, a: Value, b: Value): Value => emitOne('where', [condition, a, b], {});
/** Whether both hold. */
export const and = (a: Value, b: Value): Value => emitOne('and', [a, b], {});
/** Whether it does not hold. */
export const not = (x: Value): Value => emitOne('not', [x], {});
