/** @file The edited model for consumers: scoring, comparison with the base model, generation. */

export { type Completion, type CompletionRequest, EditedModel } from './edited-model.js';
export { exportLoraAdapter } from './export/lora-adapter.js';
export { readLoraHooks } from './export/lora-hooks.js';
export { exportMergedWeights } from './export/merged-weights.js';
export { OnnxDecoder } from './export/onnx-decoder.js';
export { exportPatchedOnnx } from './export/patched-onnx.js';
export type { WeightDtype } from './export/rounded-tensor.js';
export { type Firing, firedEdits, firingOf } from './firing.js';
export type { HookFiring } from './firings.js';

export {
  type GenerateOptions,
  HookableModel,
  type Score,
  type ScoreRequest,
} from './hookable-model.js';
export { ExportedModel, type MeasuredModel } from './measured-model.js';
export { activeEditsOf, type RowEdits } from './row-edits.js';
export { loadVersionHooks, type VersionHooks } from './version-hooks.js';
