/** @file Host arrays, half floats and safetensors files. */

export { writeFileAtomically } from './atomic-file.js';
export { float16Table, toBfloat16, toFloat16, toFloat32 } from './half-floats.js';
export {
  decodeSafetensors,
  encodeSafetensors,
  openSafetensors,
  readExactly,
  readTensor,
  type TensorLocation,
} from './safetensors.js';
export { type TensorSource, writeSafetensors } from './safetensors-writer.js';
export {
  bytesPerElement,
  type DataOf,
  type Dtype,
  dtypes,
  elementCount,
  type Tensor,
  tensor,
  tensorBytes,
  tensorFromBytes,
  zeros,
} from './tensor.js';
