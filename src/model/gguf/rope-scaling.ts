/** @file Rotary scaling: from GGUF's metadata and factors to `rope_scaling` of a Hugging Face config. */

import { MalformedFileError } from '../../errors.js';
import type { Metadata } from './metadata.js';

/** `rope_scaling` of a Hugging Face config. */
export type RopeScaling = Readonly<Record<string, string | number>>;

/** The settings of every published Llama 3.x model; only the factor differs between them. */
const llama3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 } as const;

/** Scaling in the metadata; undefined if there is none. */
export function statedScaling(metadata: Metadata, architecture: string): RopeScaling | undefined {
  const prefix = `${architecture}.rope.scaling`;
  const type = metadata.string(`${prefix}.type`);
  const factor = metadata.decimal(`${prefix}.factor`) ?? metadata.decimal(`${architecture}.rope.scale_linear`);
  if (factor === undefined || factor === 1 || type === 'none') return undefined;
  const original = metadata.number(`${prefix}.original_context_length`);
  return {
    rope_type: type ?? 'linear',
    factor,
    ...(original !== undefined && { original_max_position_embeddings: original }),
  };
}

/**
 * The llama3 scaling whose factors a file stores as `rope_freqs.weight`: frequency i is divided by `factors[i]`.
 * The file does not name the settings, so known settings are tried, and their factors compared.
 *
 * @param factors [dHead / 2]
 * @throws {MalformedFileError} if no known settings give these factors
 */
export function scalingOfFactors(factors: Float32Array, ropeTheta: number, path: string): RopeScaling | undefined {
  const factor = factors.reduce((largest, value) => Math.max(largest, value), 1);
  if (factor === 1) return undefined;
  const differs = factors.some((value, i) => {
    const frequency = ropeTheta ** (-i / factors.length);
    return Math.abs(llama3Factor(frequency, factor) - value) > 1e-3 * value;
  });
  if (differs) {
    throw new MalformedFileError(path, 'rope_freqs.weight as of Llama 3', `[${factors.slice(0, 40).join(', ')}]`);
  }
  return { rope_type: 'llama3', factor, ...llama3 };
}

/** The divisor of a frequency: 1 for short waves, `factor` for long ones, a blend between. */
function llama3Factor(frequency: number, factor: number): number {
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: tokens } = llama3;
  const wavesInContext = (tokens * frequency) / (2 * Math.PI);
  const smooth = Math.min(1, Math.max(0, (wavesInContext - low) / (high - low)));
  return 1 / ((1 - smooth) / factor + smooth);
}
