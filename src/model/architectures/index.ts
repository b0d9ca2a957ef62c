import { UnsupportedArchitectureError } from '../../errors.js';
import type { Architecture } from '../blocks/architecture.js';
import { gptNeox } from './gpt-neox.js';
import { gpt2 } from './gpt2.js';
import { gptj } from './gptj.js';
import { llama, mistral, qwen2, qwen3 } from './llama.js';

const architectures: readonly Architecture[] = [llama, mistral, qwen2, qwen3, gpt2, gptj, gptNeox];

/** Every `model_type` that can be edited. */
export const supportedModelTypes: readonly string[] = architectures.flatMap((a) => a.modelTypes);

/** @throws {UnsupportedArchitectureError} for any other `model_type` */
export function architectureOf(modelType: unknown): Architecture {
  const found = architectures.find((a) => a.modelTypes.includes(String(modelType)));
  if (found === undefined) throw new UnsupportedArchitectureError(String(modelType ?? 'none'), supportedModelTypes);
  return found;
}
