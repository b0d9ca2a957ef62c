/** @file The memory that each stage needs at its peak, on its device and beside it. */
import { type Hyperparameters, valueLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import type { EstimateRequest } from './estimate-request.js';
import { computedBytes } from './forward-work.js';
import { blockParameters, embeddingParameters, isLarge, modelParameters, vocabularyParameters } from './model-size.js';

/** The container stages. */
export const plannedStages = ['statistics', 'merge', 'values', 'solve', 'validate'] as const;
export type PlannedStage = (typeof plannedStages)[number];

/** Bytes at the peak. */
export interface StageMemory {
  /** Of the GPU; 0 on a CPU, where all memory is the host's. */
  readonly device: number;
  readonly host: number;
}

/** The sizes that memory depends on. */
export interface MemorySizes {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly sequenceTokens: number;
  /** Rows of all rounds together. */
  readonly allRows: number;
  /** Bytes of each number of the checkpoint. */
  readonly storedBytes: number;
  readonly isGpu: boolean;
  readonly memoryBudgetBytes: number;
}

/** The sizes of a job. */
export const memorySizes = (request: EstimateRequest): MemorySizes => ({
  ...request,
  allRows: request.shape.rows * request.edits,
  isGpu: request.machine.kind === 'gpu',
});

/** Bytes of Node.js and the runtime's libraries. */
const processBytes = 0.4e9;
/** Bytes that CUDA needs itself. */
const contextBytes = 0.6e9;

/** Peak memory of a stage, the largest round in it. */
export function stageMemory(stage: PlannedStage, sizes: MemorySizes): StageMemory {
  const weights = stageWeights(stage, sizes);
  const { onDevice, onHost } = beside(stage, sizes);
  if (sizes.isGpu) return { device: weights + onDevice + contextBytes, host: onHost + processBytes };
  return { device: 0, host: weights + onDevice + onHost + processBytes };
}

/**
 * Bytes of weights in the stage's programs. On a GPU each program has its own copy, in the type that the checkpoint has. A CPU maps
 * the weights once, unless a small model's are widened to float32; then each program holds its own. A weight of two bytes that is
 * widened where it is used takes its place in float32 twice, because the runtime's memory falls into pieces.
 */
export function stageWeights(stage: PlannedStage, sizes: MemorySizes): number {
  const { config, storedBytes, isGpu } = sizes;
  const numbers = numbersOf(stage, sizes);
  const isNarrow = storedBytes < computedBytes;
  if (!isGpu && isNarrow && !isLarge(config)) return computedBytes * numbers;
  const held = storedBytes * (isGpu ? numbers : Math.min(numbers, modelParameters(config)));
  const widest = Math.max(vocabularyParameters(config), config.dModel * config.dInner);
  return held + (isNarrow ? 2 * computedBytes * widest : 0);
}

/** Numbers of the weights of the programs that a stage holds at the same time. */
function numbersOf(stage: PlannedStage, { config, settings }: MemorySizes): number {
  const block = blockParameters(config);
  const upTo = (layer: number) => (layer + 1) * block + embeddingParameters(config);
  const value = valueLayer(settings);
  // The trunk, and the vocabulary's programs for scores and for comparisons.
  const served = upTo(config.layers - 1) + 2 * vocabularyParameters(config);
  switch (stage) {
    case 'statistics':
    case 'solve':
      return upTo(value);
    case 'values': {
      const above = (config.layers - value - 1) * block;
      const search = upTo(value) + above + vocabularyParameters(config);
      // A large model's search holds no program for beginnings, and lets the served model go, which said what is kept.
      return isLarge(config) ? Math.max(search, served) : search + above + served;
    }
    case 'merge':
    case 'validate':
      return served;
  }
}

/** Bytes beside the weights. */
function beside(stage: PlannedStage, sizes: MemorySizes): { readonly onDevice: number; readonly onHost: number } {
  const { config, settings, allRows, memoryBudgetBytes } = sizes;
  const square = config.dInner ** 2;
  const count = settings.layers.length;
  const perRow = config.dInner + config.dModel;
  const hooks = count * computedBytes * allRows * perRow;
  // Gram matrix and factor, whitened keys, targets and coefficients. While one layer is solved, also half of its gram
  // matrix as it was read, and all of it with the ridge.
  const state = 8 * ((2 * count + 1.5) * allRows ** 2 + 2 * count * allRows * perRow);
  // The widest product of that solve reads a quarter of the factor.
  const solving = 2 * allRows ** 2;
  switch (stage) {
    case 'statistics':
      // Sums, a run's moments, and a checkpoint as triangles, packed and encoded.
      return { onDevice: forwardBytes(sizes) + count * 4 * square, onHost: count * (8 + 4 + 8) * square };
    case 'merge':
      // All sums and those of one shard; or a moment, the same with the ridge, its factor, and its file.
      return { onDevice: 8 * square, onHost: (count * 8 + Math.max(12 * count, 32)) * square };
    case 'values':
      return { onDevice: memoryBudgetBytes + forwardBytes(sizes), onHost: memoryBudgetBytes / 2 };
    case 'solve':
      return {
        onDevice: forwardBytes(sizes) + hooks + solving + 8 * square,
        onHost: state + (count * 8 + 4 + 8) * square,
      };
    case 'validate':
      return { onDevice: forwardBytes(sizes) + hooks + solving, onHost: state + 0.5e9 };
  }
}

/** Activations of one forward pass: the widest block's, and attention's scores. */
function forwardBytes({ config, sequenceTokens }: MemorySizes): number {
  const { dModel, dInner, heads } = config;
  return 4 * rowsPerBatch * (8 * dModel + 4 * dInner + 3 * heads * sequenceTokens);
}
