import { InvalidInputError } from '../errors.js';
import { architectureOf } from './architectures/index.js';
import type { Architecture } from './blocks/architecture.js';
import { ConfigReader, type ModelConfig, type RawConfig } from './blocks/config.js';
import { harmlessFields } from './blocks/harmless-fields.js';
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
 * @throws as {@link checkModelConfig}, and {InvalidInputError} if the file is missing
 */
export async function readModelConfig(path: string): Promise<ReadModelConfig> {
  return checkModelConfig(await readJson(path), path);
}

/**
 * Understands a config, or refuses it: every field that the logits hang on is read, and no other may say anything.
 *
 * @param raw  the value of a `config.json`
 * @param file the file's name for messages
 * @throws {InvalidInputError} if it is no JSON object, a field is missing, out of range or against another, or says what no
 *   graph here computes
 * @throws {UnsupportedArchitectureError} naming the `model_type` and what is supported
 */
export function checkModelConfig(raw: unknown, file: string): ReadModelConfig {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new InvalidInputError(file, 'a JSON object', JSON.stringify(raw).slice(0, 100));
  }
  const fields = new ConfigReader(raw as RawConfig, file);
  const architecture = architectureOf(fields.value('model_type'), file);
  requireNoQuantisation(fields);
  const [older, newer] = [fields.value('torch_dtype'), fields.value('dtype')];
  const dtype = older ?? newer;
  const config = architecture.readConfig(fields);
  requireFittingSizes(fields, config);
  fields.requireNothingElse([...harmlessFields, ...(architecture.harmlessFields ?? [])]);
  return { architecture, config, storedDtype: typeof dtype === 'string' ? dtype : undefined };
}

/** Where transformers, compressed-tensors and MLX say how weights are quantised. */
const quantisationFields = ['quantization_config', 'compression_config', 'quantization'];

function requireNoQuantisation(fields: ConfigReader): void {
  for (const field of quantisationFields) {
    const value = fields.value(field);
    if (value == null || value === false) continue;
    const { quant_method: method, bits } = value as { quant_method?: unknown; bits?: unknown };
    const words = [method ?? 'weights', bits === undefined ? [] : `of ${bits} bits`].flat();
    fields.refuse(field, 'none, with weights of float32, float16 or bfloat16', `quantised ${words.join(' ')}`);
  }
}

function requireFittingSizes(fields: ConfigReader, { dModel, heads, keyValueHeads, dHead, rotary }: ModelConfig): void {
  if (!Number.isInteger(dHead)) fields.refuse('width', `a multiple of its ${heads} heads`, `${dModel}`);
  if (heads % keyValueHeads !== 0) {
    fields.refuse('attention heads', `a multiple of the ${keyValueHeads} heads of keys and values`, `${heads}`);
  }
  if (rotary && (rotary.dims < 2 || rotary.dims > dHead || rotary.dims % 2 !== 0)) {
    fields.refuse('rotated part of each head', `an even number from 2 to ${dHead}`, `${rotary.dims}`);
  }
}
