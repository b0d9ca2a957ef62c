import type { Edit, Hyperparameters } from '../editing/index.js';
import type { Manifest, ObjectStore } from '../registry/index.js';
import { storedContexts } from './context-templates.js';
import type { RejectedEdits, RoundPlan } from './records.js';
import { type ValueInputs, valueKeyOf } from './value-key.js';

/** The edits of a plan that a solve writes. */
export function keptEdits(edits: readonly Edit[], rejectedEdits: RejectedEdits): readonly Edit[] {
  const excluded = new Set(rejectedEdits.map(({ id }) => id));
  return edits.filter(({ id }) => !excluded.has(id));
}

/** Ids of the base's edits that the kept ones overwrite. */
export function removedIdsOf({ overwrites }: RoundPlan, kept: readonly Pick<Edit, 'id'>[]): string[] {
  const ids = new Set(kept.map(({ id }) => id));
  return [...new Set(overwrites.filter(({ newId }) => ids.has(newId)).map(({ oldId }) => oldId))];
}

/** The context templates where they are stored. */
export function plannedContexts(store: ObjectStore, plan: RoundPlan): Promise<readonly string[] | undefined> {
  const { modelId, modelDigest, settings } = plan;
  const { contextTokens, seed }: Hyperparameters = settings;
  return storedContexts({ store, modelId, modelDigest, contextTokens, seed });
}

/** The content keys of these edits' values. @param base manifest of the version that the round stands on */
export function valueKeysOf(
  plan: Pick<RoundPlan, 'modelDigest' | 'settings' | 'statistics'>,
  base: Pick<Manifest, 'segments'> | undefined,
  contexts: readonly string[],
  edits: readonly Edit[],
): string[] {
  const { modelDigest, settings } = plan;
  const segments = (base?.segments ?? []).map(({ sha256 }) => sha256);
  const statistics = plan.statistics.map(({ digest }) => digest);
  const inputs: ValueInputs = { modelDigest, segments, settings, statistics, contexts };
  return edits.map((edit) => valueKeyOf(inputs, edit));
}
