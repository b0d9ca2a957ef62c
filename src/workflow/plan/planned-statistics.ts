import type { Hyperparameters } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { contentKey } from '../../registry/index.js';
import { type LayerInputs, layerInputs } from '../../statistics/index.js';
import type { Registration } from '../registration.js';
import type { PlannedRound } from './round-files.js';

/**
 * What a plan's key statistics (the covariance of keys) are computed from.
 *
 * @throws {InvalidInputError} if the registration's corpus and limits do not give the statistics that the plan names
 */
export function plannedInputs({ plan, registration }: PlannedRound): LayerInputs[] {
  const inputs = registeredInputs(registration, plan.settings);
  const named = plan.statistics.map(({ digest }) => digest);
  if (inputs.length !== named.length || inputs.some((layer, i) => contentKey(layer) !== named[i])) {
    const got = `a plan of ${named.map((digest) => digest.slice(0, 12)).join(', ')}`;
    throw new InvalidInputError(
      `key statistics of model ${plan.modelId}`,
      "those of the registered model's corpus",
      got,
    );
  }
  return inputs;
}

/**
 * What the key statistics of a registered model's first round are computed from. A plan names their content keys.
 *
 * @throws {InvalidInputError} if the registration names no corpus
 */
export function registeredInputs(
  registration: Pick<Registration, 'modelId' | 'modelDigest' | 'maxTokens' | 'corpus' | 'statistics'>,
  { layers, seed }: Pick<Hyperparameters, 'layers' | 'seed'>,
): LayerInputs[] {
  if (registration.corpus === null) {
    throw new InvalidInputError(`corpus of model ${registration.modelId}`, 'a text for key statistics', 'none');
  }
  const { maxTokens, sequenceTokens } = registration.statistics;
  const { modelDigest, maxTokens: longest } = registration;
  const corpusDigest = registration.corpus.sha256;
  return layerInputs({ modelDigest, corpusDigest, longest, maxTokens, sequenceTokens, seed }, layers);
}
