import { type EditState, type HookSegment, withoutEdits } from '../editing/index.js';
import { matrix } from '../linalg/index.js';

/**
 * The segment that takes edits back and writes none: it has no rows, so whoever replays it solves again for the kept
 * keys and targets of all other edits. Nothing is optimised.
 *
 * @throws {InvalidInputError} if an id is not in the state
 */
export function revokeSegment(state: EditState, removedIds: readonly string[]): HookSegment {
  const kept = withoutEdits(state, removedIds);
  return {
    removedIds,
    addedIds: [],
    layers: kept.layers.map(({ layer, memory, sequenceThreshold }) => ({
      layer,
      round: {
        whitenedKeys: matrix(0, memory.dInner),
        targets: matrix(memory.dModel, 0),
        gramRows: matrix(0, memory.gram.rows),
      },
      thresholds: [],
      sequenceThreshold,
    })),
  };
}
