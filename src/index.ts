/** @file What consumers may import. */
export type { Edit } from './editing/index.js';
export * from './errors.js';
export { type BatchReading, readBatch, renderReport } from './evaluation/index.js';
export { importGguf, loadModel, loadTokenizer, type Model, type Tokenizer } from './model/index.js';
export {
  type EditRoundsRequest,
  type EditSession,
  type EditSessionRequest,
  editRounds,
  openEditSession,
  type RoundOutcome,
} from './pipeline/index.js';
export {
  latest,
  listVersions,
  type Manifest,
  type ObjectStore,
  openStore,
  pull,
  pullFile,
  readManifest,
  rollback,
} from './registry/index.js';
export { cpu, type Device, resolveDevice } from './runtime/index.js';
export { type Firing, type Generated, HookableModel, loadVersionHooks, type VersionHooks } from './serving/index.js';
