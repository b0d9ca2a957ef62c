/** @file Reports of the exports as weights. Model cards print the same figures. */
import type { WeightDtype } from './rounded-tensor.js';

/** How well an adapter holds one layer's weight change. Errors are Frobenius norms relative to `|dW|`. */
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
  /** Error of the product from storing the kept factors in their type. */
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

/** How merging changed one layer's matrix. Norms are Frobenius norms. */
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
