import { elementCount } from '../tensor/index.js';
import type { Model } from './model.js';

/** What the weights of a model take. */
export interface ModelStorage {
  readonly parameters: number;
  readonly sizeBytes: number;
  readonly dtypes: readonly string[];
  readonly files: number;
}

/** Counts what lies in a model's weight files, by their headers. */
export function modelStorage({ weights }: Model): ModelStorage {
  const tensors = weights.opened.flatMap((file) => [...file.tensors.values()]);
  return {
    parameters: tensors.reduce((sum, tensor) => sum + elementCount(tensor.shape), 0),
    sizeBytes: tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0),
    dtypes: [...new Set(tensors.map((tensor) => tensor.dtype))].sort(),
    files: weights.opened.length,
  };
}
