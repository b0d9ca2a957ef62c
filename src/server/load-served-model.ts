import { type ContentCache, ModelVersions, type ObjectStore, type PulledVersion } from '../registry/index.js';
import type { Device } from '../runtime/index.js';
import { EditedModel } from '../serving/index.js';
import type { ServiceLog } from './service-event.js';

interface FirstVersion {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly cache: ContentCache;
  readonly log: ServiceLog;
}

/**
 * Loads a model together with the latest version of a model id, so that it is compiled only once. If that version is
 * refused, the base model is loaded alone and the service's watch tries the version again.
 *
 * @throws {DigestMismatchError} if the version is for another base model
 */
export async function loadServedModel(
  directory: string,
  { device, ...first }: FirstVersion & { readonly device: Device },
): Promise<EditedModel> {
  return EditedModel.load(directory, await firstVersion(first), { device });
}

async function firstVersion({ log, modelId, ...place }: FirstVersion): Promise<PulledVersion | undefined> {
  try {
    return await new ModelVersions({ modelId, ...place }).pullLatest();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log({ event: 'refused', modelId, serving: null, message });
    return undefined;
  }
}
