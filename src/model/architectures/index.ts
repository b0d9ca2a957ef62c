import { UnsupportedArchitectureError } from '../../errors.js';
import type { Architecture } from '../blocks/architecture.js';
import { gptNeox } from './gpt-neox.js';
import { gpt2 } from './gpt2.js';
import { gptj } from './gptj.js';
import { llama, mistral, phi3, qwen2, qwen3, smollm3 } from './llama.js';

const architectures: readonly Architecture[] = [llama, mistral, qwen2, qwen3, smollm3, phi3, gpt2, gptj, gptNeox];

/** Every `model_type` that can be edited. */
const supportedModelTypes: readonly string[] = architectures.flatMap((a) => a.modelTypes);

/**
 * @param file the config's name for messages
 * @throws {UnsupportedArchitectureError} for any other `model_type`
 */
export function architectureOf(modelType: unknown, file: string): Architecture {
  const name = typeof modelType === 'string' ? modelType : (JSON.stringify(modelType)?.slice(0, 100) ?? 'none');
  const found = architectures.find((a) => a.modelTypes.includes(name));
  if (found === undefined) throw new UnsupportedArchitectureError(name, supportedModelTypes, file);
  return found;
}
