/** @file What an operator is: its ONNX form and its shape rule, in one entry. */
import type { Signature, Value } from './graph.js';
import type { OperatorAttributes, OperatorName } from './operator-attributes.js';

/** An attribute of an ONNX node. */
export type OnnxAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string };

/** How a node is written in ONNX. */
export interface OnnxForm {
  readonly type: string;
  /** `com.microsoft`, or empty for the standard operators. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  /** How many of the node's inputs ONNX gets, if not all. Only the gradient uses the others. */
  readonly operands?: number;
  /** int64 vectors that follow the node's inputs: axes, bounds, sizes. */
  readonly integers?: readonly (readonly number[])[];
}

/** One operator. */
export interface Operator<Attributes> {
  readonly onnx: string | ((attributes: Attributes) => OnnxForm);
  /** @throws {InvalidInputError} naming the operator, its requirement and the shapes or dtypes it got */
  readonly infer: (inputs: readonly Value[], attributes: Attributes) => readonly Signature[];
}

/** Entries for some operators. Together they make the table, which must name every operator. */
export type OperatorTable<Names extends OperatorName = OperatorName> = {
  readonly [Name in Names]: Operator<OperatorAttributes[Name]>;
};

/** An ONNX integer attribute. */
export const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
/** An ONNX integer-list attribute. */
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });
/** An ONNX float attribute, stored as float32. */
export const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
/** An ONNX string attribute. */
export const text = (value: string): OnnxAttribute => ({ kind: 'text', value });
