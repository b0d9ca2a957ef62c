/** @file ONNX graphs: building, differentiating, printing and encoding them. */
export type { Dim } from './dim.js';
export { addDims, evaluateDim, formatShape, isSymbol, multiplyDims, normalizeDim, symbolsOf } from './dim.js';
export { dtypeCode, knownDtype } from './dtype-code.js';
export {
  abs,
  add,
  and,
  cast,
  div,
  equal,
  erf,
  exp,
  greaterOrEqual,
  less,
  log,
  maximum,
  mul,
  neg,
  not,
  type Operand,
  reciprocal,
  sigmoid,
  sqrt,
  sub,
  tanh,
  where,
} from './elementwise.js';
export { decodeModel, type EncodedGraph, encodeGraph, encodeModel } from './encode.js';
export { gradient } from './gradient.js';
export { type FloatDtype, Graph, type GraphOptions, type Value } from './graph.js';
export {
  gather,
  gatherElements,
  scatterElementsAdd,
  scatterRowsAdd,
  type TakeRowsOptions,
  takeRows,
} from './indexing.js';
export { lowerGraph, type OnnxInitializer, type OnnxModel, type OnnxNode, type OnnxPort } from './lower.js';
export { type OnnxConstant, OnnxFile, type OnnxFileNode } from './onnx-file.js';
export { forOpset } from './opset.js';
export { printGraph } from './print-graph.js';
export { type GemmOptions, gemm, logSoftmax, type MatMulOptions, matMul, softmax } from './products.js';
export { argMax, type ReduceOptions, reduceMax, reduceMean, reduceSum, topK } from './reductions.js';
export {
  concat,
  expand,
  reshape,
  slice,
  sliceAfter,
  squeeze,
  transpose,
  unsqueeze,
} from './shaping.js';
