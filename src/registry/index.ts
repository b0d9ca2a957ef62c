/** @file The registry's face: object stores, keys, digests, manifests, and versions published, pulled and moved. */

export { type ContentCache, DirectoryContentCache, MemoryContentCache } from './content-cache.js';
export { type Change, diffVersions, type VersionDiff } from './diff-versions.js';
export { canonicalJson, contentKey, digestOf, digestOfFile } from './digest.js';
export {
  batchKey,
  checkModelId,
  checkObjectKey,
  corpusKey,
  currentRoundKey,
  eventKey,
  executionKey,
  executionsPrefix,
  failedKey,
  failedPrefix,
  failureKey,
  inboxPrefix,
  incomingKey,
  incomingPrefix,
  isPassedOver,
  modelIdFrom,
  modelIdOfIncomingKey,
  modelPrefix,
  pendingKey,
  pendingPrefix,
  recordKey,
  registrationKey,
  roundKey,
  roundPrefix,
  statisticsKey,
  studyKey,
  valuesKey,
  versionFileKey,
} from './keys.js';
export { keyBeside } from './late-write.js';
export { acquireLease, leaseHolder, releaseLease } from './lease.js';
export { type Base, type JsonValue, type Manifest, type ManifestEdit, memoryOf, type Pointer } from './manifest.js';
export { ModelVersions, type ModelVersionsOptions } from './model-versions.js';
export { modelsWithContent } from './models-with-content.js';
export type { Arrival, ObjectStore } from './object-store.js';
export { openStore } from './open-store.js';
export { pointerHistory } from './pointer.js';
export { mayBeRunning, processIdentity } from './process-identity.js';
export { type DraftEdit, type ManifestDraft, nextVersion, type PublishRequest, publish } from './publish.js';
export { publishedManifest } from './published-manifest.js';
export { findObject, getIfPresent, putOnce } from './put-once.js';
export { rollback } from './rollback.js';
export { S3ObjectStore } from './s3-object-store.js';
export { encodeCanonical, findStored, parseStored, readStored, storeOnce, withTodaysNames } from './stored-json.js';
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
