/** @file What an estimate is of. */
import { defaultMemoryBudgetBytes, type Hyperparameters } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { counterFactShape, type EditShape } from './edit-shape.js';
import type { Machine } from './rates.js';
import type { Rates } from './rates-schema.js';

/** A job to estimate. */
export interface EstimateRequest {
  readonly config: ModelConfig;
  /** Bytes per parameter in the checkpoint. */
  readonly storedBytes: number;
  readonly settings: Hyperparameters;
  readonly shape: EditShape;
  readonly edits: number;
  readonly roundSize: number;
  readonly corpusTokens: number;
  readonly sequenceTokens: number;
  readonly shards: number;
  readonly machine: Machine;
  readonly rates: Rates;
  readonly memoryBudgetBytes: number;
}

/** What is assumed unless said otherwise. */
export const estimateDefaults = {
  shape: counterFactShape,
  sequenceTokens: 128,
  memoryBudgetBytes: defaultMemoryBudgetBytes,
} as const;
