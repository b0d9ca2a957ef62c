import { InvalidInputError, PreconditionFailedError, StaleBaseError } from '../errors.js';
import type { ObjectStore } from './object-store.js';
import { movePointer, type PointerState, readPointer } from './pointer.js';
import { findPublished, type LatestVersion, latest, versionOfState } from './versions.js';

/**
 * Moves `latest` to another published version, back or forth. Nothing is deleted. The pointer and its log record the
 * move, and another rollback reverses it. If `latest` names the version already, nothing happens.
 * @param by who requests it
 * @throws {InvalidInputError} if the version was never published
 * @throws {StaleBaseError} if somebody else moved the pointer meanwhile
 */
export async function rollback(
  store: ObjectStore,
  modelId: string,
  version: number,
  by: string,
  now: () => Date = () => new Date(),
): Promise<LatestVersion> {
  const current = await readPointer(store, modelId);
  if (current === undefined)
    throw new InvalidInputError(`model ${modelId}`, 'a published version', 'none in this store');
  if (current.pointer.version === version) return versionOfState(store, modelId, current);
  const target = await versionOfState(store, modelId, await findPublished(store, modelId, version));
  const { manifestSha256 } = target.pointer;
  const move = {
    version,
    manifestSha256,
    publishedBy: by,
    publishedAt: now().toISOString(),
    action: 'rollback' as const,
  };
  try {
    const { pointer, etag } = await movePointer(store, modelId, current, move);
    return { version, etag, manifest: target.manifest, pointer };
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    return afterLostRace(store, modelId, version, current);
  }
}

/**
 * Somebody moved the pointer. If it is at the wanted version (perhaps by this call, whose reply was lost), all is well.
 */
async function afterLostRace(
  store: ObjectStore,
  modelId: string,
  version: number,
  current: PointerState,
): Promise<LatestVersion> {
  const found = await latest(store, modelId);
  if (found?.version === version) return found;
  throw new StaleBaseError(modelId, current.pointer.version, found?.version ?? null);
}
