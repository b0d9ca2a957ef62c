/** @file What the exports as weights tell about what they wrote; their model registrations print the same. */
import type { WeightDtype } from './rounded-tensor.js';

/** How one layer's weight change came into an adapter. Errors are Frobenius norms relative to `|dW|`. */
export interface LoraLayerReport {
  readonly layer: number;
  /** Singular values kept. */
  readonly rank: number;
  /** Singular values there are. */
  readonly exactRank: number;
  /** `|dW|`. */
  readonly weightChangeNorm: number;
  /** `sqrt(sum of s_i² from the rank on / sum of all s_i²)`. */
  readonly truncationError: number;
  /** What storing the kept factors in their type changed of their product. */
  readonly roundingError: number;
  /** The largest ones, at most eight, descending. */
  readonly singularValues: readonly number[];
}

/** A written adapter. */
export interface LoraExport {
  readonly folder: string;
  /** r, one for all layers. */
  readonly rank: number;
  readonly dtype: WeightDtype;
  /** Of the adapter's weights. */
  readonly sizeBytes: number;
  readonly layers: readonly LoraLayerReport[];
}

/** What merging did to one layer's matrix. Norms are Frobenius norms. */
export interface MergedLayerReport {
  readonly layer: number;
  /** The tensor's name in the checkpoint. */
  readonly tensor: string;
  readonly dtype: WeightDtype;
  /** `|dW|`. */
  readonly weightChangeNorm: number;
  /** `|dW| / |W|`. */
  readonly relativeChange: number;
  /** `|round(W + dW) - W - dW| / |dW|`: what storing the sum in the tensor's type loses of the change. */
  readonly roundingError: number;
}

/** A written model directory. */
export interface MergedExport {
  readonly folder: string;
  /** Weight files, by name. */
  readonly files: readonly string[];
  readonly sizeBytes: number;
  readonly layers: readonly MergedLayerReport[];
}
