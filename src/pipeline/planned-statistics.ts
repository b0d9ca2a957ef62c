import { InvalidInputError } from '../errors.js';
import { contentKey } from '../registry/index.js';
import type { LayerInputs } from './statistics-file.js';
import { cardInputs } from './statistics-inputs.js';
import type { PlannedRound } from './task-inputs.js';

/**
 * What the statistics of a plan are computed from.
 *
 * @throws {InvalidInputError} if the card's corpus and limits do not give the statistics that the plan names
 */
export function plannedInputs({ plan, card }: PlannedRound): LayerInputs[] {
  const inputs = cardInputs(card, plan.settings);
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
