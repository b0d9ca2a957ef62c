/** @file Key moments that several tasks sum, each over a part of the corpus, and one task adds up. */
import { batchByRows, emptyMomentSums, type KeyMomentSums } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { contentKey, getIfPresent, type ObjectStore, statisticsKey } from '../registry/index.js';
import { decodeSums } from './moment-pass.js';
import type { LayerInputs } from './statistics-file.js';

/** Which sums, of how many parts. */
export interface MomentShards {
  readonly modelId: string;
  /** Of all layers in the pass. */
  readonly inputs: readonly LayerInputs[];
  readonly shards: number;
}

/** Key of a shard's sums, or of its checkpoint. It names everything that they depend on. */
export function shardKey(
  { modelId, inputs, shards }: MomentShards,
  shard: number,
  name: 'sums.safetensors' | 'partial.safetensors',
): string {
  const { modelDigest, corpusDigest, maxTokens, sequenceTokens } = inputs[0];
  const layers = inputs.map(({ layer }) => layer).sort((a, b) => a - b);
  const corpus = { corpusDigest, maxTokens, sequenceTokens };
  const named = { kind: 'key-moment-shard', formatVersion: 1, modelDigest, layers, ...corpus, shards, shard };
  return statisticsKey(modelId, contentKey(named), name);
}

/**
 * The sequences of one shard. Shards are contiguous and have about equally many tokens. They end where a batch of the
 * undivided pass ends, so every product is the same, and only the order of summation differs.
 */
export function sequencesOfShard(
  sequences: readonly (readonly number[])[],
  rowsPerBatch: number,
  { shard, shards }: { readonly shard: number; readonly shards: number },
): (readonly number[])[] {
  const total = tokensOf(sequences);
  let before = 0;
  const batches = batchByRows(sequences, (ids) => ids.length, rowsPerBatch).filter((batch) => {
    const own = Math.floor((before * shards) / total);
    before += tokensOf(batch);
    return own === shard;
  });
  return batches.flat();
}

const tokensOf = (sequences: readonly (readonly number[])[]): number =>
  sequences.reduce((sum, ids) => sum + ids.length, 0);

/** The sums of all shards, added in their order; undefined if one is not stored. */
export async function addShards(
  store: ObjectStore,
  place: MomentShards,
  dInner: number,
): Promise<KeyMomentSums | undefined> {
  const layers = place.inputs.map(({ layer }) => layer);
  const total = emptyMomentSums(layers, dInner);
  for (let shard = 0; shard < place.shards; shard++) {
    const key = shardKey(place, shard, 'sums.safetensors');
    const bytes = await getIfPresent(store, key);
    if (bytes === undefined) return undefined;
    const part = decodeSums(bytes, key, layers, dInner);
    if (part === undefined) throw new MalformedFileError(key, `sums of layers ${layers.join(', ')}`, 'others');
    addSums(total, part.sums);
  }
  return total;
}

function addSums(total: KeyMomentSums, { sums, tokens }: KeyMomentSums): void {
  total.tokens += tokens;
  for (const [layer, sum] of total.sums) {
    const part = sums.get(layer)!;
    for (let i = 0; i < sum.length; i++) sum[i] += part[i];
  }
}
