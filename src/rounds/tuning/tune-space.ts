/** @file Which settings `hookline tune` tries, and how the best ones become a preset. */

import type { PresetSettings } from '../../editing/index.js';
import {
  comparesKeys,
  type Hyperparameters,
  hyperparametersSchema,
  resolveHyperparameters,
} from '../../editing/index.js';
import type { ModelConfig } from '../../model/index.js';
import { canonicalJson } from '../../registry/index.js';
import type { Coordinate } from './coordinate-search.js';

/** The settings that are searched. */
export type TunedSettings = Pick<
  Hyperparameters,
  'layers' | 'learningRate' | 'momentWeight' | 'similarityThreshold' | 'steps'
>;

/** What is searched, and where the search begins. */
export interface TuneSpace {
  readonly start: TunedSettings;
  readonly coordinates: readonly Coordinate<TunedSettings>[];
  /** All other settings. */
  readonly base: Hyperparameters;
  /** Every layer that some combination hooks, ascending. */
  readonly layers: readonly number[];
}

/** The values that are tried, the most cautious first: of equally good ones the first is kept. */
const candidateValues = {
  learningRate: [0.5, 1, 2, 4],
  momentWeight: [0.1, 0.03, 0.01],
  similarityThreshold: [0.7, 0.6, 0.5, 0.4],
  steps: [15, 25, 50],
} as const;

const mostLayers = 8;

/** At most eight single layers spread over the first 40 % of the depth, both ends included: a subject's key is formed early. */
export function candidateLayers(depth: number): number[] {
  const last = Math.max(0, Math.ceil(0.4 * depth) - 1);
  const count = Math.min(mostLayers, last + 1);
  return Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round((i * last) / (count - 1))));
}

/** Where a search begins, and which settings it must not change. */
export interface TuneStart {
  /** The model's preset. Its values of searched settings are tried first; its values of other settings are kept. */
  readonly own: PresetSettings;
  /** Settings that the user holds fixed. */
  readonly given: Partial<PresetSettings>;
  /** Single layers to try, in this order; those of `given` or else {@link candidateLayers} unless given. */
  readonly layers?: readonly number[] | undefined;
}

/**
 * The space of a search: the layers first, then each setting that is not held fixed.
 *
 * @throws {InvalidInputError} if a setting or a layer does not fit the model
 */
export function tuneSpace({ own, given, layers }: TuneStart, config: ModelConfig): TuneSpace {
  const singles = (layers ?? candidateLayers(config.layers)).map((layer) => [layer]);
  const choices = layers === undefined && given.layers !== undefined ? [given.layers] : singles;
  const [base] = choices.map((choice) => resolveHyperparameters({ ...own, ...given, layers: choice }, config));
  const { learningRate, momentWeight, similarityThreshold, steps } = base;
  const names = Object.keys(candidateValues) as (keyof typeof candidateValues)[];
  const searched = names.filter(
    (name) => given[name] === undefined && (name !== 'similarityThreshold' || comparesKeys(base.gate)),
  );
  return {
    start: { layers: base.layers, learningRate, momentWeight, similarityThreshold, steps },
    coordinates: [
      { name: 'layers', candidates: choices.map((choice) => ({ layers: choice })) },
      ...searched.map((name) => ({ name, candidates: candidateValues[name].map((value) => ({ [name]: value })) })),
    ],
    base,
    layers: [...new Set(choices.flat())].sort((a, b) => a - b),
  };
}

/**
 * A preset of these settings: the layers, every setting that differs from the schema's default, and every setting that the
 * model's own preset names. So it means the same as a file beside the model and with `--preset`.
 */
export function presetOf(settings: Hyperparameters, own: PresetSettings): PresetSettings {
  const defaults: Record<string, unknown> = hyperparametersSchema.parse({ layers: settings.layers });
  const isNeeded = ([name, value]: [string, unknown]) =>
    name in own || canonicalJson(value) !== canonicalJson(defaults[name]);
  const { layers, ...others } = settings;
  return { layers, ...Object.fromEntries(Object.entries(others).filter(isNeeded)) };
}
