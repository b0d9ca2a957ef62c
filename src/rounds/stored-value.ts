/** @file Reads and writes the value of a subject: `models/<modelId>/values/<contentKey>.safetensors`. */

import { z } from 'zod';
import type { ValueTarget } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { getIfPresent, type ObjectStore, putOnce, valuesKey } from '../registry/index.js';
import { decodeSealed, encodeSealed, requireFloat64Tensor } from '../statistics/index.js';
import { tensor } from '../tensor/index.js';

/** A value as it is stored. It belongs to a content key, not to a batch. */
export interface StoredValue extends Omit<ValueTarget, 'id'> {
  /** The time of its micro-batch, divided by the number of values in it. */
  readonly seconds: number;
}

/** Where the values of a model are stored. */
interface ValuePlace {
  readonly store: ObjectStore;
  readonly modelId: string;
}

const finite = z.string().min(1).transform(Number).pipe(z.number());
/** A search whose losses are no numbers found nothing. That is stored too, so that it is not repeated. */
const anyNumber = finite.or(z.literal('NaN').transform(() => Number.NaN));

const metadataSchema = z.strictObject({
  kind: z.literal('value'),
  formatVersion: z.literal('2'),
  contentKey: z.string(),
  nll: anyNumber,
  hit: z.enum(['true', 'false']),
  seconds: finite,
});

/**
 * Stores a value unless it is stored already: tensors `delta` [dModel] and `losses` [steps + 1], both float64,
 * and everything else as metadata. A digest seals the whole file.
 */
export async function storeValue(place: ValuePlace, contentKey: string, value: StoredValue): Promise<void> {
  const vector = (data: Float64Array) => tensor('float64', [data.length], data);
  const tensors = new Map([
    ['delta', vector(value.delta)],
    ['losses', vector(Float64Array.from(value.losses))],
  ]);
  const { nll, hit, seconds } = value;
  const metadata = { contentKey, nll: String(nll), hit: String(hit), seconds: String(seconds) };
  const bytes = encodeSealed(tensors, { kind: 'value', formatVersion: '2', ...metadata });
  await putOnce(place.store, valuesKey(place.modelId, contentKey), bytes);
}

/**
 * The stored value, or undefined.
 *
 * @throws {DigestMismatchError | MalformedFileError} naming the object, if it is damaged
 */
export async function readValue(
  { store, modelId }: ValuePlace,
  contentKey: string,
  dModel: number,
): Promise<StoredValue | undefined> {
  const key = valuesKey(modelId, contentKey);
  const bytes = await getIfPresent(store, key);
  if (bytes === undefined) return undefined;
  const { metadata, tensors } = decodeSealed(bytes, key);
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success || parsed.data.contentKey !== contentKey) {
    throw new MalformedFileError(key, 'the value that its key names', JSON.stringify(metadata).slice(0, 80));
  }
  const { nll, hit, seconds } = parsed.data;
  const losses = tensors.get('losses');
  const steps = losses?.shape[0] ?? 0;
  return {
    delta: requireFloat64Tensor(tensors.get('delta'), [dModel], key).data,
    losses: Array.from(requireFloat64Tensor(losses, [steps], key).data),
    nll,
    hit: hit === 'true',
    seconds,
  };
}
