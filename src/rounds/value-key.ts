import type { Edit, Hyperparameters } from '../editing/index.js';
import { contentKey, type Manifest } from '../registry/index.js';
import type { RoundPlan } from './records.js';

/** What all values of a round depend on. */
export interface ValueInputs {
  readonly modelDigest: string;
  /** SHA-256 of each of the base's segments, in their order: they give the hooks that are active during the search. */
  readonly segments: readonly string[];
  readonly settings: Hyperparameters;
  /** Content keys of the layers' key statistics, in the order of `settings.layers`. */
  readonly statistics: readonly string[];
  readonly contexts: readonly string[];
}

/** The part of an edit that its value depends on. */
export type SearchedEdit = Pick<Edit, 'subject' | 'prompt' | 'targetNew' | 'keep'>;

/**
 * The content key of an edit's value, 64 hex digits. The same inputs give the same value, whichever batch the edit is in.
 * Settings that only matter for the solve or the gates' thresholds are left out.
 */
export function valueKeyOf(inputs: ValueInputs, { subject, prompt, targetNew, keep }: SearchedEdit): string {
  const { modelDigest, segments, statistics, contexts } = inputs;
  const { layers, gate, klFactor, keepFactor, weightDecay, clampNormFactor } = inputs.settings;
  const { descent, learningRate, steps, stopLoss, templatesPerStep } = inputs.settings;
  const objective = { layers, gate, klFactor, keepFactor, weightDecay, clampNormFactor };
  const search = { ...objective, descent, learningRate, steps, stopLoss, templatesPerStep };
  const edit = { subject, prompt, targetNew, keep };
  return contentKey({
    kind: 'value',
    formatVersion: 1,
    modelDigest,
    segments,
    search,
    statistics,
    contexts,
    edit,
  });
}

/** The content key of each edit's value. @param base manifest of the version that the round stands on */
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
