import type { PresetSettings } from '../editing/index.js';
import { type Hyperparameters, hyperparametersSchema, storedHyperparametersSchema } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { canonicalJson, type LatestVersion } from '../registry/index.js';

/** Settings that all versions of a model share. */
const fixedSettings = ['layers', 'momentWeight', 'gate', 'sequenceThreshold', 'seed', 'contextTokens'] as const;

/**
 * The settings of a round on top of a version: that version's, with what is given in their place. A later version must be
 * solved in the metric and with the weights of the first one, so some of them must not differ.
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
  return hyperparametersSchema.parse({ ...settled, ...given });
}
