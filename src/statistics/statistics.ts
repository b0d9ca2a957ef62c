/**
 * @file Key statistics (covariances of the layers' keys): computed once from a text, stored, and shared by all rounds.
 */
import type { KeyStatistics } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { GemmFactorEngine, keySketch, regularise } from '../linalg/index.js';
import type { ModelConfig } from '../model/index.js';
import { contentKey } from '../registry/index.js';
import {
  type KeyMoment,
  type LayerInputs,
  onlyStored,
  readFactor,
  type StatisticsPlace,
  type StoredStatistics,
  storeFactor,
} from './statistics-file.js';
import { checkLayers, checkPace, checkpointKeyOf, inputsOf, type StatisticsRequest } from './statistics-request.js';
import { ensureMoments } from './stored-moments.js';

/** Statistics of the wanted layers, in their order. */
export interface StatisticsResult {
  readonly statistics: readonly KeyStatistics[];
  /** Content key by layer, as manifests hold them. */
  readonly digests: Readonly<Record<number, string>>;
  /** Tokens behind the statistics; the fewest if layers differ. */
  readonly tokens: number;
  /** What the user should know, without being an error. */
  readonly notices: readonly string[];
}

/**
 * The statistics of the wanted layers. Those that the store lacks are computed from the corpus in one pass, and stored.
 * A stopped run goes on where it was, to the same result bit for bit.
 *
 * @throws {InvalidInputError} if a layer or a setting is out of range (before any work), the corpus cannot be read, or
 *   it is needed and not given
 * @throws {MalformedFileError} if the corpus holds no text, or a stored object is malformed
 * @throws {DigestMismatchError} naming a stored object that is damaged
 */
export async function ensureStatistics(request: StatisticsRequest): Promise<StatisticsResult> {
  const { model, corpus } = request;
  checkLayers(request.layers, model.config.layers);
  const stored = corpus ? await computeStatistics(request, corpus.path) : await onlyStatistics(request);
  return resultOf(stored, model.config.dInner);
}

/**
 * Exactly the statistics that a manifest names. A round on top of a version needs the same ones.
 *
 * @param digests content key by layer
 * @throws {InvalidInputError} if the store does not have them
 * @throws {DigestMismatchError | MalformedFileError} naming a stored object that is damaged
 */
export async function loadStatistics(
  place: StatisticsPlace & { readonly model: { readonly config: Pick<ModelConfig, 'dInner'> } },
  digests: Readonly<Record<number, string>>,
): Promise<StatisticsResult> {
  const { dInner } = place.model.config;
  const stored: StoredStatistics[] = [];
  for (const [layer, digest] of Object.entries(digests)) {
    const found = await readFactor(place, digest, Number(layer), dInner);
    if (found === undefined)
      throw new InvalidInputError('key statistics', `${digest} of layer ${layer}`, 'none stored');
    stored.push(found);
  }
  return resultOf(stored, dInner);
}

function resultOf(stored: readonly StoredStatistics[], dInner: number): StatisticsResult {
  const tokens = Math.min(...stored.map((layer) => layer.tokens));
  const wanted = 4 * dInner;
  const notice =
    `tokens of the key statistics: ${wanted} or more (4 dInner), got ${tokens}; ` +
    'directions the text does not show are held by the ridge alone';
  return {
    statistics: stored.map(({ digest, tokens, ...statistics }) => statistics),
    digests: Object.fromEntries(stored.map(({ layer, digest }) => [layer, digest])),
    tokens,
    notices: tokens < wanted ? [notice] : [],
  };
}

/** The one stored set of each layer. */
async function onlyStatistics(request: StatisticsRequest): Promise<StoredStatistics[]> {
  const { modelDigest, layers, model } = request;
  const digests = await onlyStored(request, modelDigest, layers);
  const stored = layers.map((layer, i) => readFactor(request, digests[i], layer, model.config.dInner));
  return (await Promise.all(stored)).map((found) => found!);
}

async function computeStatistics(request: StatisticsRequest, path: string): Promise<StoredStatistics[]> {
  const { dInner } = request.model.config;
  checkPace(request);
  const inputs = await inputsOf(request, path);
  const factors = new Map<number, StoredStatistics>();
  for (const layer of inputs) {
    const found = await readFactor(request, contentKey(layer), layer.layer, dInner);
    if (found) factors.set(layer.layer, found);
  }
  const missing = inputs.filter(({ layer }) => !factors.has(layer));
  const checkpointKey = checkpointKeyOf(request, inputs);
  const moments = missing.length > 0 ? await ensureMoments(request, missing, path, checkpointKey) : [];
  // All moments are stored now, so no checkpoint is needed, not even one that an earlier run left behind.
  await request.store.delete(checkpointKey);
  const report = (done: number) =>
    request.onProgress?.({ stage: 'factor', done, total: missing.length, unit: 'layers' });
  for (const [i, layer] of missing.entries()) {
    report(i);
    factors.set(layer.layer, await factorise(request, layer, moments[i]));
    report(i + 1);
  }
  return request.layers.map((layer) => factors.get(layer)!);
}

/** Stores the factor and the sketch that belong to a moment. @returns what is stored */
export async function factorise(
  request: StatisticsPlace & Pick<StatisticsRequest, 'engine' | 'solver'>,
  inputs: LayerInputs,
  { mean, tokens }: KeyMoment,
): Promise<StoredStatistics> {
  const { layer, relativeRidge, sketchRank, seed } = inputs;
  const name = `key moment of layer ${layer}`;
  const solver = request.solver ?? new GemmFactorEngine(request.engine, 'no other was offered');
  const { factor, origin } = await solver.inverseFactor(regularise(mean, relativeRidge), name);
  const sketch = await keySketch(factor, request.engine, sketchRank, seed);
  const statistics = { layer, inverseFactor: factor, sketch, origin };
  return storeFactor(request, inputs, statistics, tokens);
}
