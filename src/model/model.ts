import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readTensor, type Tensor, tensor, toFloat32 } from '../tensor/index.js';
import type { Architecture } from './blocks/architecture.js';
import type { ModelConfig } from './blocks/config.js';
import { openWeights, type Weights } from './blocks/weights.js';
import { readModelConfig } from './read-model-config.js';

/** A decoder on disk: its config, its architecture and its weight files. */
export interface Model {
  readonly directory: string;
  readonly config: ModelConfig;
  readonly architecture: Architecture;
  readonly weights: Weights;
}

/**
 * Opens a Hugging Face model directory. Weights stay in their files.
 *
 * @throws {InvalidInputError} if a file or a field of `config.json` is missing or out of range
 * @throws {UnsupportedArchitectureError} naming the `model_type` and what is supported
 * @throws {MalformedFileError} if a weights file is damaged
 */
export async function loadModel(directory: string): Promise<Model> {
  const { architecture, config } = await readModelConfig(join(directory, 'config.json'));
  const weights = await openWeights(directory, architecture.prefixes, architecture.probe);
  return { directory, config, architecture, weights };
}

/**
 * The matrix W of a layer's down-projection, whatever its layout and type on disk.
 *
 * @returns float32 [dModel, dInner]
 */
export async function readDownProjection(model: Model, layer: number): Promise<Tensor<'float32'>> {
  const { name, layout } = model.architecture.downProjection(layer);
  const stored = await readTensor(model.weights.location(name));
  const { dModel, dInner } = model.config;
  const data = toFloat32(stored);
  if (layout === 'out-in') return tensor('float32', [dModel, dInner], data);
  const transposed = new Float32Array(data.length);
  for (let i = 0; i < dInner; i++) {
    for (let m = 0; m < dModel; m++) transposed[m * dInner + i] = data[i * dModel + m];
  }
  return tensor('float32', [dModel, dInner], transposed);
}

/**
 * SHA-256 over `config.json` and the weight files in order of their names: two directories with the same digest
 * compute the same function.
 *
 * @returns 64 hex digits
 */
export async function modelDigest(model: Model): Promise<string> {
  const digest = createHash('sha256');
  for (const file of [join(model.directory, 'config.json'), ...model.weights.files]) {
    const content = createHash('sha256');
    await pipeline(createReadStream(file, { highWaterMark: 1 << 22 }), content);
    digest.update(content.digest());
  }
  return digest.digest('hex');
}
