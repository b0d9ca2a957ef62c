export { euclideanNorm } from './adam.js';
export type { Edit } from './edit.js';
export {
  type EditState,
  emptyState,
  type HookSegment,
  hookOf,
  hooksOf,
  type KeyStatistics,
  type LayerSegment,
  type LayerSketch,
  type LayerState,
  replaySegments,
  withoutEdits,
} from './edit-state.js';
export {
  type HookLayer,
  type HookMode,
  type HookSignals,
  hookFeeds,
  hookLayers,
  keyHookedOutput,
} from './hook.js';
export {
  comparesKeys,
  type GateKind,
  gateKinds,
  type Hyperparameters,
  hyperparametersSchema,
  type KeyGateKind,
  resolveHyperparameters,
  storedHyperparametersSchema,
  valueLayer,
} from './hyperparameters.js';
export { type CollectedKeys, KeyCollection } from './key-collection.js';
export { emptyMomentSums, KeyMomentProgram, type KeyMomentSums } from './key-moment.js';
export { batchByRows } from './micro-batch.js';
export {
  fillTemplate,
  genericKeepPrompts,
  type SubjectPrompt,
  type TokenizedEdit,
  tokenizeEdit,
  tokenizeTarget,
  tokenizeTemplate,
} from './prompts.js';
export { type RoundContext, type RoundResult, writeRound } from './round.js';
export { decodeHookFile, encodeHookFile, type HookFile, roundSketch, segmentStorage } from './segment-file.js';
export { objectiveGraph } from './value-graphs.js';
export {
  defaultMemoryBudgetBytes,
  type FoundTarget,
  objectiveRowBytes,
  targetMatrix,
  ValueSearch,
  type ValueSearchOptions,
  type ValueTarget,
} from './value-search.js';
