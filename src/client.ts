/**
 * @file What a service imports that only reads versions (`hookline/client`): no ONNX Runtime, no CDK, and the AWS SDK
 * only for a store in S3.
 */
export * from './errors.js';
export {
  type ContentCache,
  DirectoryContentCache,
  type FolderVersion,
  type LatestVersion,
  type Manifest,
  MemoryContentCache,
  ModelVersions,
  type ModelVersionsOptions,
  type ObjectStore,
  openStore,
  type PulledVersion,
  VersionFolder,
  type VersionFolderOptions,
  type WatchedVersions,
  type WatchOptions,
  watchVersions,
} from './registry/index.js';
