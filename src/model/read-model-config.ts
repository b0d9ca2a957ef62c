import { InvalidInputError } from '../errors.js';
import { architectureOf } from './architectures/index.js';
import type { Architecture } from './blocks/architecture.js';
import type { ModelConfig, RawConfig } from './blocks/config.js';
import { readJson } from './blocks/weights.js';

/** What a `config.json` says of a model, read without any weight. */
export interface ReadModelConfig {
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  /** `torch_dtype`, or `dtype` in newer files: how the checkpoint stores its weights; undefined if absent. */
  readonly storedDtype: string | undefined;
}

/**
 * Reads a Hugging Face `config.json`. Nothing else of the model is needed.
 *
 * @param path of the file
 * @throws {InvalidInputError} if it is missing, no JSON object, or a field is missing or out of range
 * @throws {UnsupportedArchitectureError} naming the `model_type` and what is supported
 */
export async function readModelConfig(path: string): Promise<ReadModelConfig> {
  const raw = await readJson(path);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new InvalidInputError(path, 'a JSON object', JSON.stringify(raw));
  }
  const fields = raw as RawConfig;
  const architecture = architectureOf(fields.model_type);
  const dtype = fields.torch_dtype ?? fields.dtype;
  const storedDtype = typeof dtype === 'string' ? dtype : undefined;
  return { architecture, config: architecture.readConfig(fields), storedDtype };
}
