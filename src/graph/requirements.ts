/** @file Checks that shape rules share. Every message names the operator, its requirement and what it got. */
import { InvalidInputError } from '../errors.js';
import type { Dtype } from '../tensor/index.js';
import { type Dim, formatShape } from './dim.js';
import type { Value } from './graph.js';

/** The element types an operator takes, and what to call them. */
export interface DtypeSet {
  readonly name: string;
  readonly members: readonly Dtype[];
}

export const floats: DtypeSet = { name: 'float32 or float64', members: ['float32', 'float64'] };
export const numbers: DtypeSet = {
  name: 'a number',
  members: ['float32', 'float64', 'int32', 'int64', 'int8', 'uint8', 'float16'],
};
export const booleans: DtypeSet = { name: 'bool', members: ['bool'] };
export const indices: DtypeSet = { name: 'int64', members: ['int64'] };

/** Whether gradients flow through values of this dtype. */
export function isFloat(dtype: Dtype): boolean {
  return floats.members.includes(dtype);
}

/** A value as text: `float32[rows, 3]`. */
export function describeValue(value: Value): string {
  return `${value.dtype}${formatShape(value.shape)}`;
}

/** @throws {InvalidInputError} if a value is of none of the dtypes */
export function requireDtype(operator: string, set: DtypeSet, ...values: readonly Value[]): void {
  if (values.every((value) => set.members.includes(value.dtype))) return;
  throw new InvalidInputError(operator, `elements of ${set.name}`, values.map(describeValue).join(' and '));
}

/** @throws {InvalidInputError} if the values differ in dtype */
export function requireSameDtype(operator: string, values: readonly Value[]): void {
  if (values.every((value) => value.dtype === values[0]!.dtype)) return;
  throw new InvalidInputError(operator, 'operands of one dtype', values.map(describeValue).join(' and '));
}

/** @throws {InvalidInputError} unless the condition holds; the message ends with the values' dtypes and shapes */
export function requireShape(operator: string, requirement: string, holds: boolean, ...values: readonly Value[]): void {
  if (!holds) throw new InvalidInputError(operator, requirement, values.map(describeValue).join(' and '));
}

/** The size of the last axis. */
export function lastDim(value: Value): Dim {
  return value.shape[value.shape.length - 1]!;
}
