import { emptyState, encodeHookFile, roundSketch, segmentStorage } from '../../src/editing/index.js';
import { appendRound, matrix, PlainGemmEngine } from '../../src/linalg/index.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { plainStatistics } from './hooks.js';
import { normal } from './random.js';

const edits = 100;

/** Bytes of a first version of 100 edits beside the dense float32 weights of the hooked layers. */
export async function measureArtifact({ model, settings }: BenchContext): Promise<Measurement> {
  const { dInner, dModel } = model.config;
  const next = normal(7);
  const numbers = (rows: number) => matrix(rows, edits, Float64Array.from({ length: rows * edits }, next));
  const statistics = await plainStatistics(model, settings, 1);
  const storage = segmentStorage(dInner, dModel);
  const layers = await Promise.all(
    emptyState(model.config, settings).layers.map(async ({ layer, memory }, i) => {
      const { inverseFactor } = statistics[i];
      const engine = new PlainGemmEngine();
      const written = await appendRound(memory, numbers(dInner), numbers(dModel), inverseFactor, engine, storage);
      const thresholds = new Array<number>(edits).fill(settings.similarityThreshold);
      return { layer, round: written.segment, thresholds, sequenceThreshold: settings.sequenceThreshold };
    }),
  );
  const addedIds = Array.from({ length: edits }, (_, e) => `edit-${e}`);
  const sketches = statistics.map(({ layer, sketch }) => ({ layer, sketch: roundSketch(sketch) }));
  const bytes = encodeHookFile({ segment: { removedIds: [], addedIds, layers }, sketches }).length;
  const dense = 4 * dInner * dModel * settings.layers.length;
  return {
    name: 'artifact',
    note: `${edits} edits in layers ${settings.layers.join(', ')}, sketches included`,
    figures: [
      figure('hooks.safetensors', bytes, 'B'),
      figure('dense hooked weights, float32', dense, 'B'),
      figure('share', (100 * bytes) / dense, '%', { atMost: 10 }),
    ],
  };
}
