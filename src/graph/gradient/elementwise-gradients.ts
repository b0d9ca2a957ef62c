/** @file Gradient rules of the operators that work element by element. */
import { cast, div, exp, greaterOrEqual, less, mul, neg, not, sign, sub } from '../elementwise.js';
import { isFloat } from '../requirements.js';
import { broadcasting, type GradientTable } from './gradient-rule.js';

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

const arithmetic: GradientTable<'add' | 'sub' | 'mul' | 'div' | 'maximum'> = {
  add: broadcasting(({ upstream }) => [() => upstream, () => upstream]),
  sub: broadcasting(({ upstream }) => [() => upstream, () => neg(upstream)]),
  mul: broadcasting(({ upstream, inputs: [a, b] }) => [() => mul(upstream, b!), () => mul(upstream, a!)]),
  div: broadcasting(({ upstream, inputs: [, b], output }) => [
    () => div(upstream, b!),
    () => neg(div(mul(upstream, output), b!)),
  ]),
  maximum: broadcasting(({ upstream, inputs: [a, b] }) => [
    () => mul(upstream, cast(greaterOrEqual(a!, b!), upstream.dtype)),
    () => mul(upstream, cast(less(a!, b!), upstream.dtype)),
  ]),
};

const functions: GradientTable<
  'neg' | 'exp' | 'log' | 'sqrt' | 'reciprocal' | 'sigmoid' | 'tanh' | 'erf' | 'abs' | 'sign'
> = {
  neg: ({ upstream }) => [() => neg(upstream)],
  exp: ({ upstream, output }) => [() => mul(upstream, output)],
  log: ({ upstream, inputs: [x] }) => [() => div(upstream, x!)],
  sqrt: ({ upstream, output }) => [() => mul(upstream, div(0.5, output))],
  reciprocal: ({ upstream, output }) => [() => neg(mul(upstream, mul(output, output)))],
  sigmoid: ({ upstream, output }) => [() => mul(upstream, mul(output, sub(1, output)))],
  tanh: ({ upstream, output }) => [() => mul(upstream, sub(1, mul(output, output)))],
  erf: ({ upstream, inputs: [x] }) => [() => mul(upstream, mul(TWO_OVER_SQRT_PI, exp(neg(mul(x!, x!)))))],
  abs: ({ upstream, inputs: [x] }) => [() => mul(upstream, sign(x!))],
  sign: () => [null],
};

const choices: GradientTable<'cast' | 'where' | 'greaterOrEqual' | 'less' | 'equal' | 'and' | 'not'> = {
  cast: ({ upstream, inputs: [x] }) => [isFloat(x!.dtype) ? () => cast(upstream, x!.dtype) : null],
  // A product with the mask, because the kernel of Where runs on one thread only.
  where: broadcasting(({ upstream, inputs: [condition] }) => [
    null,
    () => mul(upstream, cast(condition!, upstream.dtype)),
    () => mul(upstream, cast(not(condition!), upstream.dtype)),
  ]),
  greaterOrEqual: null,
  less: null,
  equal: null,
  and: null,
  not: null,
};

export const elementwiseGradients = { ...arithmetic, ...functions, ...choices };
