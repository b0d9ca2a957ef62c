/** @file ONNX graphs: building, differentiating, printing and encoding them. */
export type { Dim } from './dim.js';
export { evaluateDim, formatShape, isSymbol } from './dim.js';
export { dtypeCode, knownDtype } from './dtype-code.js';
export {
  add,
  and,
  cast,
  div,
  equal,
  erf,
  exp,
  greaterOrEqual,
  log,
  maximum,
  mul,
  neg,
  not,
  reciprocal,
  sigmoid,
  sqrt,
  sub,
  tanh,
  where,
} from './elementwise.js';
export { gradient } from './gradient/gradient.js';
export { Graph, type Value } from './graph.js';
export { gather, gatherElements, takeRows } from './indexing.js';
export { lowerGraph, type OnnxInitializer, type OnnxModel, type OnnxNode, type OnnxPort } from './lower.js';
export { encodeGraph, openOnnxFile } from './on-demand.js';
export type { OnnxConstant, OnnxFile, OnnxFileNode } from './onnx-file.js';
export { forOpset } from './opset.js';

export { type GemmOptions, gemm, logSoftmax, matMul, softmax } from './products.js';
export { argMax, reduceMax, reduceMean, reduceSum } from './reductions.js';
export { concat, reshape, slice, squeeze, transpose, unsqueeze } from './shaping.js';
