import { type Dtype, type Tensor, tensor, toBfloat16, toFloat16, toFloat32 } from '../../tensor/index.js';

/** Types that weights are stored in. */
export const weightDtypes = ['float32', 'float16', 'bfloat16'] as const satisfies readonly Dtype[];
export type WeightDtype = (typeof weightDtypes)[number];

/** Numbers rounded to a type, to the nearest. */
export function roundedTensor(dtype: WeightDtype, shape: readonly number[], values: Float64Array): Tensor {
  switch (dtype) {
    case 'float32':
      return tensor(dtype, shape, Float32Array.from(values));
    case 'float16':
      return tensor(dtype, shape, toFloat16(values));
    case 'bfloat16':
      return tensor(dtype, shape, toBfloat16(values));
  }
}

/** A tensor's numbers in float64. */
export function wideValues(stored: Tensor): Float64Array {
  return Float64Array.from(toFloat32(stored));
}
