import { InvalidInputError } from '../errors.js';
import type { Manifest } from './manifest.js';
import { ModelVersions } from './model-versions.js';
import type { ObjectStore } from './object-store.js';
import { listVersions } from './versions.js';

/**
 * The manifest of a published version.
 *
 * @throws {InvalidInputError} naming the versions there are, if it is none of them
 * @throws {DigestMismatchError} if it is not what was published
 */
export async function publishedManifest(store: ObjectStore, modelId: string, version: number): Promise<Manifest> {
  const { published, damaged } = await listVersions(store, modelId);
  const known = [...published, ...damaged].map((each) => each.version).sort((a, b) => a - b);
  if (known.includes(version)) return new ModelVersions({ store, modelId }).version(version);
  const requirement = known.length === 0 ? 'a published version' : `one of ${known.join(', ')}`;
  throw new InvalidInputError(`version of model ${modelId}`, requirement, String(version));
}
