/** @file The settings of a model's rounds: the first version's come from a preset, and some of them are fixed from then on. */

import type { PresetSettings } from '../editing/index.js';
import {
  type Hyperparameters,
  parseHyperparameters,
  presetFor,
  resolveHyperparameters,
  storedHyperparametersSchema,
} from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Model } from '../model/index.js';
import { canonicalJson, type LatestVersion } from '../registry/index.js';

/** Settings that all versions of a model share. */
const fixedSettings = ['layers', 'momentWeight', 'gate', 'sequenceThreshold', 'seed', 'contextTokens'] as const;

/**
 * The settings of a model's next round: those of its latest version, or of its preset before the first version, with the
 * given ones in their place.
 *
 * @throws {InvalidInputError} if a given setting contradicts the latest version, or does not fit the model
 */
export async function roundSettings(
  model: Pick<Model, 'directory' | 'config'>,
  base: LatestVersion | undefined,
  given: Partial<PresetSettings>,
): Promise<Hyperparameters> {
  if (base) return continuedSettings(base, given);
  return resolveHyperparameters({ ...(await presetFor(model)).settings, ...given }, model.config);
}

/**
 * The settings of a round on top of a version: that version's, with the given ones in their place. A later version is
 * solved with the key statistics and the weights of the first one, so the settings that these depend on must not differ.
 *
 * @throws {InvalidInputError} naming a given setting that contradicts the version
 */
export function continuedSettings(
  { version, manifest }: Pick<LatestVersion, 'version' | 'manifest'>,
  given: Partial<PresetSettings>,
): Hyperparameters {
  const settled = storedHyperparametersSchema.parse(manifest.hyperparameters);
  for (const name of fixedSettings) {
    const value = given[name];
    if (value !== undefined && canonicalJson(value) !== canonicalJson(settled[name])) {
      throw new InvalidInputError(
        `hyperparameter ${name}`,
        `${JSON.stringify(settled[name])} as in version ${version}, or another --model-id`,
        JSON.stringify(value),
      );
    }
  }
  return parseHyperparameters({ ...settled, ...given });
}

/** @throws {InvalidInputError} if the latest version was made of another model */
export function requireSameModel(modelId: string, digest: string, base: LatestVersion | undefined): void {
  if (base === undefined || base.manifest.modelDigest === digest) return;
  const expected = base.manifest.modelDigest.slice(0, 12);
  const requirement = `the model of the store's versions (digest ${expected}), or another --model-id`;
  throw new InvalidInputError(`model ${modelId}`, requirement, `digest ${digest.slice(0, 12)}`);
}
