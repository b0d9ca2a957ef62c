/** @file The edited model for consumers: scoring, comparison with the base model, generation. */

export type { Firing } from './firings.js';
export type { Generated, GenerateOptions } from './generation.js';
export {
  type Comparison,
  type CompileOptions,
  HookableModel,
  type Progress,
  type Score,
  type ScoreRequest,
} from './hookable-model.js';
export { loadVersionHooks, type VersionHooks, versionHooks } from './version-hooks.js';
