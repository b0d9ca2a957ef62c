import { type EditState, euclideanNorm } from '../editing/index.js';
import { type GemmEngine, weightChange } from '../linalg/index.js';
import { type Model, readDownProjection } from '../model/index.js';

/** How much a layer's weight is changed. */
export interface LayerChange {
  readonly layer: number;
  /** Rows in the layer, of all rounds; before 0.2 every edit had one. */
  readonly edits: number;
  /** `|dW| / |W|`, Frobenius norms. */
  readonly relativeChange: number;
}

/** The weight change of every hooked layer. */
export async function layerChanges(model: Model, state: EditState, engine: GemmEngine): Promise<LayerChange[]> {
  const changes: LayerChange[] = [];
  for (const { layer, memory } of state.layers) {
    const change = await weightChange(memory, engine);
    const weight = await readDownProjection(model, layer);
    const relativeChange = euclideanNorm(change.data) / euclideanNorm(weight.data);
    changes.push({ layer, edits: memory.gram.rows, relativeChange });
  }
  return changes;
}
