/** @file The stored key statistics (the covariance of the keys): inputs, moment and factor, one set per layer. */

import { z } from 'zod';
import type { KeyStatistics } from '../editing/index.js';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import { type FactorOrigin, type Matrix, matrix } from '../linalg/index.js';
import {
  canonicalJson,
  contentKey,
  getIfPresent,
  modelPrefix,
  type ObjectStore,
  parseStored,
  putOnce,
  statisticsKey,
} from '../registry/index.js';
import { tensor } from '../tensor/index.js';
import { decodeSealed, encodeSealed, packLower, requireFloat64Tensor, unpackLower } from './sealed-tensors.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const positiveInteger = z.int().positive();

/** Everything on which the statistics of one layer depend; their content key is the SHA-256 of its canonical JSON. */
export const layerInputsSchema = z.strictObject({
  kind: z.literal('key-statistics'),
  formatVersion: z.literal(1),
  modelDigest: sha256,
  layer: z.int().nonnegative(),
  /** SHA-256 of the corpus file. */
  corpusDigest: sha256,
  maxTokens: positiveInteger,
  sequenceTokens: positiveInteger,
  relativeRidge: z.number().nonnegative(),
  sketchRank: positiveInteger,
  seed: z.int().nonnegative(),
});

export type LayerInputs = z.infer<typeof layerInputsSchema>;

/** The mean of `k kᵀ` over the tokens of a corpus, without ridge. */
export interface KeyMoment {
  /** C0: float64 [dInner, dInner]. Only the lower triangle is read, and a stored moment has no other. */
  readonly mean: Matrix;
  readonly tokens: number;
}

/** Statistics of a layer with their name and the number of tokens behind them. */
export interface StoredStatistics extends KeyStatistics {
  readonly digest: string;
  readonly tokens: number;
}

/** Where the statistics of models are stored. */
export interface StatisticsPlace {
  readonly store: ObjectStore;
  readonly modelId: string;
}

const names = { inputs: 'inputs.json', moment: 'moment.safetensors', factor: 'factor.safetensors' };

/**
 * The stored moment, or undefined. @throws {DigestMismatchError | MalformedFileError} naming an object that is damaged
 */
export async function readMoment(
  { store, modelId }: StatisticsPlace,
  inputs: LayerInputs,
  dInner: number,
): Promise<KeyMoment | undefined> {
  const key = statisticsKey(modelId, contentKey(inputs), names.moment);
  const bytes = await getIfPresent(store, key);
  return bytes && decodeMoment(bytes, dInner, key);
}

/**
 * Stores the inputs and the moment: `moment`, the lower triangle of C0 row by row, float64 because eigenvalues far
 * below the largest one count.
 *
 * @returns the moment that is stored
 */
export async function storeMoment(
  { store, modelId }: StatisticsPlace,
  inputs: LayerInputs,
  { mean, tokens }: KeyMoment,
): Promise<KeyMoment> {
  const digest = contentKey(inputs);
  await putOnce(store, statisticsKey(modelId, digest, names.inputs), new TextEncoder().encode(canonicalJson(inputs)));
  const key = statisticsKey(modelId, digest, names.moment);
  const bytes = encodeSealed(new Map([['moment', packLower(mean)]]), metadataOf(inputs, tokens));
  return decodeMoment(await putOnce(store, key, bytes), mean.rows, key);
}

function decodeMoment(bytes: Uint8Array, dInner: number, key: string): KeyMoment {
  const { metadata, tensors } = decodeSealed(bytes, key);
  return { mean: unpackLower(tensors.get('moment'), dInner, key), tokens: tokensOf(metadata, key) };
}

/** Whether the statistics of this content key are complete, without reading them. */
export async function hasFactor({ store, modelId }: StatisticsPlace, digest: string): Promise<boolean> {
  return (await store.head(statisticsKey(modelId, digest, names.factor))) !== undefined;
}

/** The stored factor and sketch, or undefined. @throws as {@link readMoment} */
export async function readFactor(
  { store, modelId }: StatisticsPlace,
  digest: string,
  layer: number,
  dInner: number,
): Promise<StoredStatistics | undefined> {
  const key = statisticsKey(modelId, digest, names.factor);
  const bytes = await getIfPresent(store, key);
  return bytes && decodeFactor(bytes, { digest, layer, dInner, key });
}

/**
 * Stores what rounds need, which completes the layer: `inverseFactor`, the lower triangle of F row by row, and `sketch`
 * [sketchRank, dInner], both float64. The metadata name the solver that made the factor.
 *
 * @returns the statistics that are stored
 */
export async function storeFactor(
  { store, modelId }: StatisticsPlace,
  inputs: LayerInputs,
  { inverseFactor, sketch, origin }: KeyStatistics,
  tokens: number,
): Promise<StoredStatistics> {
  const digest = contentKey(inputs);
  const key = statisticsKey(modelId, digest, names.factor);
  const tensors = new Map([
    ['inverseFactor', packLower(inverseFactor)],
    ['sketch', tensor('float64', [sketch.rows, sketch.columns], sketch.data)],
  ]);
  const bytes = await putOnce(store, key, encodeSealed(tensors, { ...metadataOf(inputs, tokens), ...origin }));
  return decodeFactor(bytes, { digest, layer: inputs.layer, dInner: inverseFactor.rows, key });
}

interface FactorPlace {
  readonly digest: string;
  readonly layer: number;
  readonly dInner: number;
  readonly key: string;
}

function decodeFactor(bytes: Uint8Array, place: FactorPlace): StoredStatistics {
  const { layer, digest, dInner, key } = place;
  const { inputs, tokens, origin, tensors } = openFactor(bytes, place);
  const sketch = requireFloat64Tensor(tensors.get('sketch'), [inputs.sketchRank, dInner], key);
  return {
    layer,
    digest,
    tokens,
    inverseFactor: unpackLower(tensors.get('inverseFactor'), dInner, key),
    sketch: matrix(inputs.sketchRank, dInner, sketch.data),
    ...(origin && { origin }),
  };
}

function openFactor(bytes: Uint8Array, { digest, layer, key }: Omit<FactorPlace, 'dInner'>) {
  const { metadata, tensors } = decodeSealed(bytes, key);
  const inputs = parseInputs(metadata.inputs, key);
  if (inputs.layer !== layer || contentKey(inputs) !== digest) {
    throw new MalformedFileError(key, `the statistics of layer ${layer} that its key names`, `layer ${inputs.layer}'s`);
  }
  return { inputs, tensors, tokens: tokensOf(metadata, key), origin: originOf(metadata) };
}

/**
 * Like {@link hasFactor}, but also checks the stored object against its own digest and its key.
 *
 * @throws {DigestMismatchError | MalformedFileError} naming an object that is damaged
 */
export async function verifyFactor(place: StatisticsPlace, digest: string, layer: number): Promise<boolean> {
  const key = statisticsKey(place.modelId, digest, names.factor);
  const bytes = await getIfPresent(place.store, key);
  if (bytes !== undefined) openFactor(bytes, { digest, layer, key });
  return bytes !== undefined;
}

/**
 * The digests of the one stored set of each layer, in their order.
 *
 * @throws {InvalidInputError} if none or several are stored of a layer
 */
export async function onlyStored(
  place: StatisticsPlace,
  modelDigest: string,
  layers: readonly number[],
): Promise<string[]> {
  const all = [...(await listStatistics(place))].filter(([, inputs]) => inputs.modelDigest === modelDigest);
  const candidates = layers.map((layer) => all.filter(([, inputs]) => inputs.layer === layer));
  const without = layers.filter((_, i) => candidates[i].length === 0);
  if (without.length > 0) {
    const why = `a text file to compute the key statistics of layers ${without.join(', ')} from, as none are stored`;
    throw new InvalidInputError('--corpus', why, 'nothing');
  }
  const ambiguous = layers.filter((_, i) => candidates[i].length > 1);
  if (ambiguous.length > 0) {
    const why = `the text whose key statistics to use, as several are stored for layers ${ambiguous.join(', ')}`;
    throw new InvalidInputError('--corpus', why, 'nothing');
  }
  return candidates.map(([[digest]]) => digest);
}

/** The inputs of all complete statistics of a model id, by their digest. Reads no large object. */
export async function listStatistics({ store, modelId }: StatisticsPlace): Promise<ReadonlyMap<string, LayerInputs>> {
  const keys = await store.list(`${modelPrefix(modelId)}statistics/`);
  const found = new Map<string, LayerInputs>();
  for (const key of keys.filter((key) => key.endsWith(`/${names.factor}`))) {
    const digest = key.split('/').at(-2)!;
    const inputsKey = statisticsKey(modelId, digest, names.inputs);
    const inputs = parseInputs(new TextDecoder().decode((await store.get(inputsKey)).bytes), inputsKey);
    if (contentKey(inputs) !== digest) throw new MalformedFileError(inputsKey, 'the inputs its key names', 'others');
    found.set(digest, inputs);
  }
  return found;
}

function metadataOf(inputs: LayerInputs, tokens: number): Record<string, string> {
  return { inputs: canonicalJson(inputs), tokens: String(tokens) };
}

/** Who made a factor; undefined if the metadata do not say, as in older files. */
function originOf({ solver, reason }: Readonly<Record<string, string>>): FactorOrigin | undefined {
  return (solver === 'onnx' || solver === 'tensorflow') && reason !== undefined ? { solver, reason } : undefined;
}

function tokensOf(metadata: Readonly<Record<string, string>>, what: string): number {
  const tokens = Number(metadata.tokens);
  if (!positiveInteger.safeParse(tokens).success) {
    throw new MalformedFileError(what, 'a number of tokens in its metadata', `${metadata.tokens}`);
  }
  return tokens;
}

function parseInputs(text: string | undefined, what: string): LayerInputs {
  return parseStored(text ?? '', layerInputsSchema, what, 'the inputs of key statistics');
}
