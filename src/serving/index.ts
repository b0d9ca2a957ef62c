/** @file The edited model for consumers: scoring, comparison with the base model, generation. */

export { type Completion, type CompletionRequest, EditedModel, type LoadOptions } from './edited-model.js';
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
export { loadVersionHooks, type VersionHooks, versionHooks } from './version-hooks.js';
