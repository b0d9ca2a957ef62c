import { Solver, type SolverRequest } from '../linalg/index.js';
import type { Model, Tokenizer } from '../model/index.js';
import type { Listener } from '../progress.js';
import type { ObjectStore } from '../registry/index.js';
import { type Device, OnnxGemmEngine, rowsPerBatch } from '../runtime/index.js';
import { ensureStatistics, type StatisticsResult } from '../statistics/index.js';

/** Of which layers key statistics are wanted, and what they are computed from where they are not stored. */
export interface LayerStatisticsRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly layers: readonly number[];
  readonly seed: number;
  readonly device: Device;
  /** Not needed where they are stored. */
  readonly corpusPath?: string | undefined;
  /** Most tokens of the corpus to read; see `StatisticsRequest`. */
  readonly maxTokens?: number | undefined;
  /** `auto` unless given. */
  readonly solver?: SolverRequest | undefined;
}

/** Key statistics of layers, in one pass over the corpus where they are not stored. See `ensureStatistics`. */
export async function layerStatistics(
  request: LayerStatisticsRequest,
  { onProgress, onNotice }: Listener = {},
): Promise<StatisticsResult> {
  const { corpusPath, maxTokens, solver = { choice: 'auto' }, ...place } = request;
  const engine = new OnnxGemmEngine({ device: request.device });
  try {
    return await ensureStatistics({
      ...place,
      engine,
      solver: new Solver({ ...solver, engine, onNotice }),
      rowsPerBatch,
      corpus: corpusPath === undefined ? undefined : { path: corpusPath },
      ...(maxTokens !== undefined && { maxTokens }),
      ...(onProgress && { onProgress }),
    });
  } finally {
    await engine.dispose();
  }
}
