/** @file The registry's face: object stores, keys, digests, manifests, and versions published, pulled and moved. */

export { type ContentCache, DirectoryContentCache, MemoryContentCache } from './content-cache.js';
export { type Change, diffVersions, type EditChange, type MetricDelta, type VersionDiff } from './diff-versions.js';
export { type ContentDigest, canonicalJson, contentKey, digestOf, digestOfFile } from './digest.js';
export { DirectoryObjectStore, type DirectoryObjectStoreOptions } from './directory-object-store.js';
export {
  batchKey,
  batchPrefix,
  checkKeyPrefix,
  checkModelId,
  checkObjectKey,
  corpusKey,
  currentRoundKey,
  eventKey,
  eventsPrefix,
  executionKey,
  executionPrefix,
  executionsPrefix,
  failedKey,
  failedPrefix,
  failureKey,
  failuresPrefix,
  inboxPrefix,
  incomingKey,
  incomingPrefix,
  latestKey,
  leaseKey,
  manifestKey,
  modelCardKey,
  modelIdFrom,
  modelIdOfIncomingKey,
  modelPrefix,
  objectKeyLimitBytes,
  pendingKey,
  pendingPrefix,
  recordKey,
  recordsPrefix,
  roundKey,
  roundPrefix,
  statisticsKey,
  type VersionFileName,
  valuesKey,
  valuesPrefix,
  versionFileKey,
  versionsPrefix,
} from './keys.js';
export { acquireLease, type LeaseRequest, type LeaseState, leaseHolder, releaseLease } from './lease.js';
export {
  type Base,
  checkManifest,
  decodeManifest,
  type JsonValue,
  type Manifest,
  type ManifestEdit,
  type ManifestFile,
  type Pointer,
  type Segment,
} from './manifest.js';
export { MemoryObjectStore } from './memory-object-store.js';
export { ModelVersions, type ModelVersionsOptions } from './model-versions.js';
export type { DeleteCondition, ObjectHead, ObjectStore, PutCondition, StoredObject } from './object-store.js';
export { openStore } from './open-store.js';
export { type PointerState, pointerHistory } from './pointer.js';
export { mayBeRunning, processIdentity } from './process-identity.js';
export { type DraftEdit, type ManifestDraft, nextVersion, type PublishRequest, publish } from './publish.js';
export { rollback } from './rollback.js';
export { S3ObjectStore } from './s3-object-store.js';
export { type FolderVersion, VersionFolder, type VersionFolderOptions } from './version-folder.js';
export { folderModelId } from './version-folder-state.js';
export {
  type LatestVersion,
  latest,
  listVersions,
  type PulledVersion,
  pull,
  pullFile,
  readManifest,
  type VersionListing,
  type VersionSummary,
} from './versions.js';
export { type WatchedVersions, type WatchOptions, watchVersions } from './watch-versions.js';
