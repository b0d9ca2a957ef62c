import type { EditState, HookSegment } from '../editing/index.js';
import { matrix } from '../linalg/index.js';

/**
 * The segment that removes memories and writes none. It has no rows of its own: replaying it solves again for the stored keys
 * and targets of all other rows. No value is searched.
 */
export function removingSegment(state: EditState, removedIds: readonly string[]): HookSegment {
  const kept = state.rowIds.filter((id) => !removedIds.includes(id)).length;
  return {
    removedIds,
    addedIds: [],
    layers: state.layers.map(({ layer, memory: { dInner, dModel }, sequenceThreshold }) => ({
      layer,
      round: { whitenedKeys: matrix(0, dInner), targets: matrix(dModel, 0), gramRows: matrix(0, kept) },
      thresholds: [],
      sequenceThreshold,
    })),
  };
}
