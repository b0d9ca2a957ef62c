/** @file A model of a real shape with random weights, in bfloat16 and in several files, written without holding it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bytesPerElement,
  elementCount,
  type TensorSource,
  tensor,
  writeSafetensors,
} from '../../../src/tensor/index.js';
import { isGain, tensorShapes, writeConfig } from '../../support/random-model.js';
import type { ModelShape } from './model-shapes.js';

/** Largest file, unless one tensor alone is larger. */
const shardBytes = 2 ** 30;

/** Writes it as a Hugging Face folder, as its publishers do. */
export async function writeRandomModel(folder: string, { config, tokenizer }: ModelShape): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const shards: TensorSource[][] = [[]];
  let bytes = 0;
  for (const [name, shape] of tensorShapes(config)) {
    const source = randomTensor(name, shape, shards.flat().length);
    if (bytes > 0 && bytes + source.sizeBytes > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(source);
    bytes += source.sizeBytes;
  }
  const fileOf = (shard: number) => `model-${pad(shard + 1)}-of-${pad(shards.length)}.safetensors`;
  for (const [s, sources] of shards.entries()) await writeSafetensors(join(folder, fileOf(s)), sources);
  const places = shards.flatMap((sources, s) => sources.map(({ name }) => [name, fileOf(s)] as const));
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(places) }),
  );
  // The config is last, so that a folder which has it is whole.
  writeConfig(folder, { ...config, torch_dtype: 'bfloat16' }, tokenizer);
}

const pad = (count: number): string => String(count).padStart(5, '0');

function randomTensor(name: string, shape: readonly number[], seed: number): TensorSource {
  return {
    name,
    dtype: 'bfloat16',
    shape,
    sizeBytes: elementCount(shape) * bytesPerElement('bfloat16'),
    read: () => tensor('bfloat16', shape, isGain(name, shape) ? ones(shape) : randomBits(elementCount(shape), seed)),
  };
}

const ones = (shape: readonly number[]): Uint16Array => new Uint16Array(elementCount(shape)).fill(0x3f80);

/** Numbers of 2^-6 to 2^-5 with a random sign: eight random bits each are sign and mantissa (xorshift32). */
function randomBits(count: number, seed: number): Uint16Array {
  const bits = new Uint16Array(count);
  let state = (seed + 1) * 0x9e3779b1;
  for (let i = 0; i < count; i++) {
    if (i % 4 === 0) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    const random = (state >>> (8 * (i % 4))) & 0xff;
    bits[i] = ((random & 0x80) << 8) | (121 << 7) | (random & 0x7f);
  }
  return bits;
}
