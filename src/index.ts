export type { Edit } from './editing/index.js';
export * from './errors.js';
export { type BatchReading, type EditInput, readBatch, renderReport } from './evaluation/index.js';
export { importGguf, loadModel, loadTokenizer, type Model, modelDigest, type Tokenizer } from './model/index.js';
export {
  type ContentCache,
  DirectoryContentCache,
  type LatestVersion,
  latest,
  listVersions,
  type Manifest,
  MemoryContentCache,
  ModelVersions,
  type ModelVersionsOptions,
  type ObjectStore,
  openStore,
  type PulledVersion,
  pull,
  pullFile,
  readManifest,
  rollback,
  type WatchOptions,
  watchVersions,
} from './registry/index.js';
export {
  type EditOptions,
  type EditSession,
  type EditSessionRequest,
  openEditSession,
  type PublishCriteria,
  type Revocation,
  type RevokeOptions,
  type RoundOutcome,
} from './rounds/index.js';
export { cpu, type Device, resolveDevice } from './runtime/index.js';
export {
  type Completion,
  type CompletionRequest,
  EditedModel,
  type Firing,
  loadVersionHooks,
  type VersionHooks,
} from './serving/index.js';
