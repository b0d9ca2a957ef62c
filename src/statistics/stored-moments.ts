import type { KeyMomentSums } from '../editing/index.js';
import { matrix } from '../linalg/index.js';
import { corpusSequences } from './corpus-sequences.js';
import { sumKeyMoments } from './moment-pass.js';
import { type KeyMoment, type LayerInputs, readMoment, type StatisticsPlace, storeMoment } from './statistics-file.js';
import type { StatisticsRequest } from './statistics-request.js';

/**
 * The moments of these layers, in their order. Missing ones are computed in one pass over the corpus.
 *
 * @param checkpointKey key of the object of unfinished sums
 */
export async function ensureMoments(
  request: StatisticsRequest,
  wanted: readonly LayerInputs[],
  path: string,
  checkpointKey: string,
): Promise<KeyMoment[]> {
  const { dInner } = request.model.config;
  const stored = await Promise.all(wanted.map((layer) => readMoment(request, layer, dInner)));
  const missing = wanted.filter((_, i) => stored[i] === undefined);
  const computed = missing.length > 0 ? await computeMoments(request, missing, path, checkpointKey) : [];
  return wanted.map((layer, i) => stored[i] ?? computed[missing.indexOf(layer)]);
}

async function computeMoments(
  request: StatisticsRequest,
  missing: readonly LayerInputs[],
  path: string,
  checkpointKey: string,
): Promise<KeyMoment[]> {
  const { model, tokenizer, store, device, rowsPerBatch = 1024, checkpointSeconds = 20, signal, onProgress } = request;
  const sequences = await corpusSequences(path, tokenizer, missing[0]);
  const layers = missing.map(({ layer }) => layer);
  const pace = { rowsPerBatch, checkpointSeconds, signal, onProgress };
  const sums = await sumKeyMoments({ model, layers, sequences, device, store, checkpointKey, ...pace });
  const moments: KeyMoment[] = [];
  for (const inputs of missing) moments.push(await storeMean(request, inputs, sums));
  return moments;
}

/** Stores the mean of a layer's sums. @returns the moment that is stored */
export function storeMean(place: StatisticsPlace, inputs: LayerInputs, sums: KeyMomentSums): Promise<KeyMoment> {
  const { tokens } = sums;
  const mean = sums.sums.get(inputs.layer)!.map((sum) => sum / tokens);
  const size = Math.sqrt(mean.length);
  return storeMoment(place, inputs, { mean: matrix(size, size, mean), tokens });
}
