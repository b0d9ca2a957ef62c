/** @file The edited model for consumers: scoring, comparison with the base model, generation. */

export { type Completion, type CompletionRequest, EditedModel, type LoadOptions } from './edited-model.js';
export { exportLoraAdapter, type LoraRequest } from './export/lora-adapter.js';
export { readLoraHooks } from './export/lora-hooks.js';
export { exportMergedWeights, type MergeRequest } from './export/merged-weights.js';
export { OnnxDecoder } from './export/onnx-decoder.js';
export {
  exportPatchedOnnx,
  type PatchedLayer,
  type PatchedOnnx,
  type PatchedOnnxRequest,
} from './export/patched-onnx.js';
export type { LoraExport, LoraLayerReport, MergedExport, MergedLayerReport } from './export/reports.js';
export type { WeightDtype } from './export/rounded-tensor.js';
export type { Firing } from './firings.js';
export { type GateOpening, gateOpening } from './gate-opening.js';
export type { FinishReason, Generated } from './growing-sequence.js';
export {
  type Comparison,
  type CompileOptions,
  type DecodeOptions,
  type GenerateOptions,
  HookableModel,
  type Progress,
  type Score,
  type ScoreRequest,
} from './hookable-model.js';
export { ExportedModel, type FixedModel, type MeasuredModel } from './measured-model.js';
export { loadVersionHooks, type VersionHooks, versionHooks } from './version-hooks.js';
