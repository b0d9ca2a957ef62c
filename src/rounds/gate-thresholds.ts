import type { EditState } from '../editing/index.js';

/** Thresholds of one layer's gates. */
type LayerThresholds = {
  /** Smallest tau of any edit; null without edits. */
  readonly smallestSimilarity: number | null;
  /** alpha of the sequence gate. */
  readonly sequence: number;
};

/** The thresholds of a state's gates by layer, as manifests hold them. */
export function gateThresholds(state: EditState): Record<string, LayerThresholds> {
  return Object.fromEntries(
    state.layers.map(({ layer, thresholds, sequenceThreshold }) => [
      String(layer),
      { smallestSimilarity: thresholds.length === 0 ? null : Math.min(...thresholds), sequence: sequenceThreshold },
    ]),
  );
}
