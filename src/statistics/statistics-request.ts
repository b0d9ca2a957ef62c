import { InvalidInputError } from '../errors.js';
import type { FactorEngine, GemmEngine } from '../linalg/index.js';
import type { Model, Tokenizer } from '../model/index.js';
import type { Listener } from '../progress.js';
import { contentKey, digestOfFile, statisticsKey } from '../registry/index.js';
import type { Device } from '../runtime/index.js';
import type { LayerInputs, StatisticsPlace } from './statistics-file.js';
import { layerInputs } from './statistics-inputs.js';

/** Which key statistics (covariances of keys) are wanted, and what they are made from. */
export interface StatisticsRequest extends StatisticsPlace {
  readonly model: Model;
  readonly modelDigest: string;
  readonly tokenizer: Tokenizer;
  readonly layers: readonly number[];
  /** The text. Without it, the statistics must be stored already. */
  readonly corpus: { readonly path: string } | undefined;
  /** 200 000 by default; all of a smaller corpus. */
  readonly maxTokens?: number;
  /** 128 by default, and at most what the model takes. */
  readonly sequenceTokens?: number;
  /** See `regularise`. */
  readonly relativeRidge?: number;
  /** 64 by default. */
  readonly sketchRank?: number;
  /** Of the sketch. */
  readonly seed: number;
  readonly device?: Device;
  /** Rows of one forward pass, 1024 by default. */
  readonly rowsPerBatch?: number;
  readonly engine: GemmEngine;
  /** Who factors the moments; by default `engine`. */
  readonly solver?: FactorEngine;
  /** Time between two checkpoints of a pass over the corpus, 20 by default. */
  readonly checkpointSeconds?: number;
  /** Stops the pass over the corpus after the current batch. The next run goes on from there. */
  readonly signal?: AbortSignal;
  readonly onProgress?: Listener['onProgress'];
}

/** @throws {InvalidInputError} unless they are different layers of the model */
export function checkLayers(layers: readonly number[], available: number): void {
  const isLayer = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < available;
  if (layers.length > 0 && layers.every(isLayer) && new Set(layers).size === layers.length) return;
  throw new InvalidInputError(
    'layers of key statistics',
    `different layers of 0 .. ${available - 1}`,
    `[${layers.join(', ')}]`,
  );
}

/** @throws {InvalidInputError} if the pace of the work is out of range */
export function checkPace({ rowsPerBatch = 1024, checkpointSeconds = 20 }: StatisticsRequest): void {
  if (!(Number.isInteger(rowsPerBatch) && rowsPerBatch > 0)) {
    throw new InvalidInputError('rowsPerBatch', 'a positive whole number', String(rowsPerBatch));
  }
  if (!(checkpointSeconds >= 0))
    throw new InvalidInputError('checkpointSeconds', '0 or more', String(checkpointSeconds));
}

/**
 * The inputs of each layer's statistics. @throws {InvalidInputError} if one is out of range or the corpus unreadable
 */
export async function inputsOf(request: StatisticsRequest, path: string): Promise<LayerInputs[]> {
  const { model, modelDigest, layers, maxTokens, sequenceTokens, relativeRidge, sketchRank, seed } = request;
  const options = { modelDigest, maxTokens, sequenceTokens, relativeRidge, sketchRank, seed };
  const longest = model.config.maxTokens;
  // Wrong settings are refused before a large text is read.
  layerInputs({ ...options, longest, corpusDigest: '0'.repeat(64) }, layers);
  return layerInputs({ ...options, longest, corpusDigest: await digestOfCorpus(path) }, layers);
}

async function digestOfCorpus(path: string): Promise<string> {
  try {
    return (await digestOfFile(path)).sha256;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInputError(`corpus ${path}`, 'a readable file', got, { cause });
  }
}

/**
 * Key of the object of unfinished sums. It names all wanted layers, not only the missing ones, so that a later run
 * finds it however far the first one came.
 */
export function checkpointKeyOf({ modelId, layers }: StatisticsRequest, [first]: readonly LayerInputs[]): string {
  const { modelDigest, corpusDigest, maxTokens, sequenceTokens } = first;
  const sorted = layers.toSorted((a, b) => a - b);
  const inputs = { kind: 'key-moment-sums', modelDigest, layers: sorted, corpusDigest, maxTokens, sequenceTokens };
  return statisticsKey(modelId, contentKey(inputs), 'partial.safetensors');
}
