/** @file The names of all operators, and the attributes of each. */
import type { Dtype } from '../tensor/index.js';
import type { Dim } from './dim.js';

/** No attributes. */
export type None = Readonly<Record<never, never>>;

/** Attributes of `gemm`: `alpha op(A) op(B) + C`. */
export interface GemmAttributes {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

/** Attributes of a reduction; axes count from the front. */
export interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/**
 * Attributes of operators with a given result shape: `target` as in ONNX, null if a second input holds it at run time.
 */
export interface TargetShape {
  readonly shape: readonly Dim[];
  readonly target: readonly number[] | null;
}

/** Attributes of `slice`; `bounds` is null if two more inputs hold start and end at run time. */
export interface SliceAttributes {
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
  readonly bounds: readonly [number, number] | null;
}

/** Every operator and its attributes. The tables of shape rules and of gradient rules have an entry for each. */
export interface OperatorAttributes {
  readonly add: None;
  readonly sub: None;
  readonly mul: None;
  readonly div: None;
  readonly maximum: None;
  readonly neg: None;
  readonly exp: None;
  readonly log: None;
  readonly sqrt: None;
  readonly reciprocal: None;
  readonly sigmoid: None;
  readonly tanh: None;
  readonly erf: None;
  readonly abs: None;
  readonly sign: None;
  readonly cast: { readonly to: Dtype };
  readonly where: None;
  readonly greaterOrEqual: None;
  readonly less: None;
  readonly equal: None;
  readonly and: None;
  readonly not: None;
  readonly gemm: GemmAttributes;
  readonly matMul: { readonly transA: boolean; readonly transB: boolean };
  readonly softmax: None;
  readonly logSoftmax: None;
  readonly reduceSum: ReduceAttributes;
  readonly reduceMean: ReduceAttributes;
  readonly reduceMax: ReduceAttributes;
  readonly argMax: None;
  readonly topK: { readonly k: number };
  readonly gather: None;
  readonly takeRows: { readonly partial: boolean };
  readonly gatherElements: { readonly axis: number };
  readonly scatterElementsAdd: { readonly axis: number };
  readonly concat: { readonly axis: number };
  readonly slice: SliceAttributes;
  readonly reshape: TargetShape;
  readonly squeeze: { readonly axes: readonly number[] };
  readonly unsqueeze: { readonly axes: readonly number[] };
  readonly transpose: { readonly permutation: readonly number[] };
  readonly expand: TargetShape;
  readonly sizeOf: { readonly axis: number };
}

/** The name of an operator. */
export type OperatorName = keyof OperatorAttributes;
