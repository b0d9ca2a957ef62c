import type { EditState } from '../editing/index.js';

/** Thresholds of one layer's gates. */
type LayerThresholds = {
  /** Smallest tau of any edit. */
  readonly smallestSimilarity: number;
  /** alpha of the sequence gate. */
  readonly sequence: number;
};

/** What a manifest tells of a state's gates, by layer. */
export function gateThresholds(state: EditState): Record<string, LayerThresholds> {
  return Object.fromEntries(
    state.layers.map(({ layer, thresholds, sequenceThreshold }) => [
      String(layer),
      { smallestSimilarity: Math.min(...thresholds), sequence: sequenceThreshold },
    ]),
  );
}
