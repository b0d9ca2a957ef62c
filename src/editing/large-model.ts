import type { Model } from '../model/index.js';
import { mostWidenedOnCpu } from '../runtime/index.js';

/** Whether a model is too large for several programs to hold its weights, or the memory of their runs, side by side. */
export const isLargeModel = ({ weights }: Pick<Model, 'weights'>): boolean =>
  weights.numbers * Float32Array.BYTES_PER_ELEMENT > mostWidenedOnCpu;
