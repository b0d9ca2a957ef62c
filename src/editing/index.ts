export { euclideanNorm } from './adam.js';
export type { Edit } from './edit.js';
export type { ValueTarget } from './edit-search.js';
export {
  type EditState,
  emptyState,
  type HookSegment,
  hooksOf,
  type KeyStatistics,
  type LayerSketch,
  replaySegments,
} from './edit-state.js';
export { type HookLayer, hookFeeds, hookLayers, keyHookedOutput } from './hook.js';
export {
  comparesKeys,
  type GateKind,
  gateKinds,
  type Hyperparameters,
  hyperparametersSchema,
  type KeyGateKind,
  parseHyperparameters,
  resolveHyperparameters,
  storedHyperparametersSchema,
  valueLayer,
} from './hyperparameters.js';
export { KeyCollection } from './key-collection.js';
export { emptyMomentSums, KeyMomentProgram, type KeyMomentSums } from './key-moment.js';
export { beginningCount, type KeyRow, keyRows, rowTargets } from './key-rows.js';
export { isLargeModel } from './large-model.js';
export { batchByRows } from './micro-batch.js';
export { continuationOf, fillTemplate, markSubject, tokenizeMarked } from './names.js';
export { partsOf } from './objective-sequence.js';
export { type PresetSettings, presetFor, readPreset } from './presets.js';
export {
  bareContext,
  type Context,
  type KeptText,
  type ModelLimits,
  misfitOf,
  type TokenizedSubject,
  tokenizeFact,
  tokenizeForm,
} from './prompts.js';
export { type RoundContext, type RoundResult, writeRound } from './round.js';
export {
  decodeHookFile,
  decodeHookIds,
  encodeHookFile,
  type HookFile,
  roundSketch,
  segmentStorage,
} from './segment-file.js';
export { objectiveRowBytes } from './subject-sizes.js';
export { defaultMemoryBudgetBytes, ValueSearch } from './value-search.js';
