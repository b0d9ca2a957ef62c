import { InvalidInputError, PreconditionFailedError, StaleBaseError } from '../errors.js';
import type { ObjectStore } from './object-store.js';
import { movePointer, type PointerState, readPointer } from './pointer.js';
import { damageOf, findPublished, type LatestVersion } from './versions.js';

/** What is optional about moving `latest`. */
export interface RollbackOptions {
  /** Moves although something of the version is missing or damaged. */
  readonly force?: boolean;
  /** The clock. */
  readonly now?: () => Date;
}

/** Where `latest` is after a rollback. */
export interface RolledBack extends Omit<LatestVersion, 'manifest'> {
  /** What of the version is missing or damaged, in words; only with force is there any. */
  readonly damage: readonly string[];
}

/**
 * Moves `latest` to another published version, back or forth. Everything that the version consists of is verified first.
 * Nothing is deleted. The pointer and its log record the move, and another rollback reverses it. If `latest` names the
 * version already, nothing happens.
 * @param by who requests it
 * @throws {InvalidInputError} if the version was never published, or something of it is missing or damaged
 * @throws {StaleBaseError} if somebody else moved the pointer meanwhile
 */
export async function rollback(
  store: ObjectStore,
  modelId: string,
  version: number,
  by: string,
  { force = false, now = () => new Date() }: RollbackOptions = {},
): Promise<RolledBack> {
  const current = await readPointer(store, modelId);
  if (current === undefined)
    throw new InvalidInputError(`model ${modelId}`, 'a published version', 'none in this store');
  if (current.pointer.version === version) return { ...placeOf(current), damage: [] };
  const { pointer } = await findPublished(store, modelId, version);
  const damage = await damageOf(store, modelId, version);
  if (damage.length > 0 && !force) {
    throw new InvalidInputError(`version ${version} of ${modelId}`, 'a complete one, or --force', damage.join('; '));
  }
  const move = {
    version,
    manifestSha256: pointer.manifestSha256,
    publishedBy: by,
    publishedAt: now().toISOString(),
    action: 'rollback' as const,
  };
  try {
    return { ...placeOf(await movePointer(store, modelId, current, move)), damage };
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    return { ...(await afterLostRace(store, modelId, version, current)), damage };
  }
}

const placeOf = ({ pointer, etag }: PointerState): Omit<RolledBack, 'damage'> => ({
  version: pointer.version,
  etag,
  pointer,
});

/**
 * Somebody moved the pointer. If it is at the wanted version (perhaps by this call, whose reply was lost), all is well.
 */
async function afterLostRace(
  store: ObjectStore,
  modelId: string,
  version: number,
  current: PointerState,
): Promise<Omit<RolledBack, 'damage'>> {
  const found = await readPointer(store, modelId);
  if (found?.pointer.version === version) return placeOf(found);
  throw new StaleBaseError(modelId, current.pointer.version, found?.pointer.version ?? null);
}
