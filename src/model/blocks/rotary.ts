import type { RotaryConfig } from './config.js';

/**
 * Angular frequencies of rotary embeddings, `base^(-2i/dims)` for `i = 0 .. dims/2 - 1`, scaled as the config says.
 *
 * The llama3 scaling keeps frequencies with wavelengths under `originalMaxTokens / highFrequencyFactor`, divides those
 * with wavelengths over `originalMaxTokens / lowFrequencyFactor` by `factor`, and blends linearly between (Llama 3.1
 * model card).
 *
 * @returns float64 [dims / 2], radians per token
 */
export function rotaryFrequencies(rotary: RotaryConfig): Float64Array {
  return Float64Array.from({ length: rotary.dims / 2 }, (_, i) =>
    scaleFrequency(rotary.base ** ((-2 * i) / rotary.dims), rotary),
  );
}

function scaleFrequency(frequency: number, { scaling }: RotaryConfig): number {
  if (scaling === undefined) return frequency;
  if (scaling.kind === 'linear') return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxTokens } = scaling;
  const wavesInContext = (originalMaxTokens * frequency) / (2 * Math.PI);
  const smooth = Math.min(1, Math.max(0, (wavesInContext - low) / (high - low)));
  return ((1 - smooth) / factor + smooth) * frequency;
}

/**
 * Cosines and sines of one position for each of the `dims` rotated components, in the component order of the layout.
 *
 * @param frequencies float64 [dims / 2]
 */
export function fillRotaryRow(
  positionIndex: number,
  frequencies: Float64Array,
  layout: RotaryConfig['layout'],
  cosines: Float32Array | Float64Array,
  sines: Float32Array | Float64Array,
  offset: number,
): void {
  const half = frequencies.length;
  for (let i = 0; i < half; i++) {
    const angle = positionIndex * frequencies[i];
    const first = offset + (layout === 'half' ? i : 2 * i);
    const second = offset + (layout === 'half' ? i + half : 2 * i + 1);
    cosines[first] = cosines[second] = Math.cos(angle);
    sines[first] = sines[second] = Math.sin(angle);
  }
}
