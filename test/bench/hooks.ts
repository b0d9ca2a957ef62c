/** @file Hooks and statistics made up for measuring: cost does not depend on what is in them. */
import {
  emptyState,
  type HookLayer,
  type Hyperparameters,
  hooksOf,
  type KeyStatistics,
} from '../../src/editing/index.js';
import { keySketch, matrix, PlainGemmEngine } from '../../src/linalg/index.js';
import type { Model } from '../../src/model/index.js';
import { normal } from './random.js';

/** Rows of a hook's sketch. */
const sketchRank = 64;

/** Hooks without edits, as before the first round. */
export function emptyHooks({ config }: Model, settings: Hyperparameters): HookLayer[] {
  const sketches = settings.layers.map((layer) => ({ layer, sketch: matrix(sketchRank, config.dInner) }));
  return hooksOf(emptyState(config, settings), sketches);
}

/** Hooks of this many edits, of random numbers. */
export function randomHooks({ config }: Model, settings: Hyperparameters, edits: number): HookLayer[] {
  const next = normal(edits);
  const numbers = (count: number, scale: number) => Float32Array.from({ length: count }, () => next() * scale);
  return settings.layers.map((layer) => ({
    layer,
    dInner: config.dInner,
    whitenedKeys: numbers(edits * config.dInner, config.dInner ** -0.5),
    coefficients: numbers(edits * config.dModel, 0.01),
    ownCoefficients: numbers(edits * config.dModel, 0.01),
    keyNorms: new Float32Array(edits).fill(1),
    thresholds: new Float32Array(edits).fill(settings.similarityThreshold),
    sketch: numbers(sketchRank * config.dInner, config.dInner ** -0.5),
    sequenceThreshold: settings.sequenceThreshold,
  }));
}

/** Statistics under which all keys are alike and independent: `C0 = scale² I`. */
export function plainStatistics({ config }: Model, settings: Hyperparameters, scale: number): Promise<KeyStatistics[]> {
  const engine = new PlainGemmEngine();
  const ofLayer = async (layer: number) => {
    const inverseFactor = matrix(config.dInner, config.dInner);
    for (let i = 0; i < config.dInner; i++) inverseFactor.data[i * config.dInner + i] = 1 / scale;
    return { layer, inverseFactor, sketch: await keySketch(inverseFactor, engine, sketchRank) };
  };
  return Promise.all(settings.layers.map(ofLayer));
}
