/** @file Gradient rules of matrix products and of the two softmaxes. */
import { exp, mul, sub } from '../elementwise.js';
import { gemm, matMul } from '../products.js';
import { reduceSum } from '../reductions.js';
import { unbroadcast } from '../shaping.js';
import { broadcasting, type GradientTable } from './gradient-rule.js';

export const productGradients: GradientTable<'gemm' | 'matMul' | 'softmax' | 'logSoftmax'> = {
  // d/dA' = alpha G B'ᵀ and d/dB' = alpha A'ᵀ G. If A or B is used transposed, the operands swap: always one gemm.
  gemm: ({ upstream, inputs: [a, b, bias], attributes: { transA, transB, alpha } }) => [
    () =>
      transA
        ? gemm(b!, upstream, { transA: transB, transB: true, alpha })
        : gemm(upstream, b!, { transB: !transB, alpha }),
    () =>
      transB
        ? gemm(upstream, a!, { transA: true, transB: transA, alpha })
        : gemm(a!, upstream, { transA: !transA, alpha }),
    ...(bias === undefined ? [] : [() => unbroadcast(upstream, bias.shape)]),
  ],
  matMul: broadcasting(({ upstream, inputs: [a, b], attributes: { transA, transB } }) => [
    () => (transA ? matMul(b!, upstream, { transA: transB, transB: true }) : matMul(upstream, b!, { transB: !transB })),
    () => (transB ? matMul(upstream, a!, { transA: true, transB: transA }) : matMul(a!, upstream, { transA: !transA })),
  ]),
  softmax: ({ upstream, output }) => [
    () => {
      const product = mul(upstream, output);
      return sub(product, mul(output, reduceSum(product, [-1], { keepDims: true })));
    },
  ],
  logSoftmax: ({ upstream, output }) => [
    () => sub(upstream, mul(exp(output), reduceSum(upstream, [-1], { keepDims: true }))),
  ],
};
