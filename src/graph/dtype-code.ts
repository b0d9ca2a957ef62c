/** @file The numbers by which ONNX names element types. */
import { InvalidInputError } from '../errors.js';
import { type Dtype, dtypes } from '../tensor/index.js';

const CODES: Readonly<Record<Dtype, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** The `TensorProto.DataType` of a dtype. */
export function dtypeCode(dtype: Dtype): number {
  return CODES[dtype];
}

/**
 * The dtype with this `TensorProto.DataType`.
 *
 * @throws {InvalidInputError} if the project has none such
 */
export function dtypeOfCode(code: number): Dtype {
  const dtype = knownDtype(code);
  if (dtype === undefined) throw new InvalidInputError('ONNX data type', Object.values(CODES).join(', '), String(code));
  return dtype;
}

/** The dtype with this `TensorProto.DataType`, or undefined if the project has none such. */
export function knownDtype(code: number): Dtype | undefined {
  return dtypes.find((name) => CODES[name] === code);
}
