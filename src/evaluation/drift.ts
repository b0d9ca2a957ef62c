import type { HookLayer } from '../editing/index.js';
import type { MeasuredModel } from '../serving/index.js';

/** How far an edited model is from its base on ordinary text. */
export interface Drift {
  /** exp of the difference of mean negative log-likelihoods: edited over base. */
  readonly perplexityRatio: number;
  readonly basePerplexity: number;
  /** Mean KL(base || edited) of the next-token distributions, nats. */
  readonly klToBase: number;
  /** Share of tokens at which any gate is open. */
  readonly swapRate: number;
  readonly tokens: number;
}

/** Measures drift and keeps the gate's signal on every token, for histograms. */
export async function measureDrift(
  model: MeasuredModel,
  sequences: readonly (readonly number[])[],
  hooks: readonly HookLayer[],
  onProgress?: (done: number, total: number) => void,
): Promise<{ drift: Drift; strengths: number[] }> {
  const results = await model.compare(sequences, hooks, onProgress);
  const total = (of: (result: (typeof results)[number]) => number) => results.reduce((sum, r) => sum + of(r), 0);
  const predicted = total((r) => r.predictedTokens);
  return {
    drift: {
      perplexityRatio: Math.exp((total((r) => r.editedNll) - total((r) => r.baseNll)) / predicted),
      basePerplexity: Math.exp(total((r) => r.baseNll) / predicted),
      klToBase: total((r) => r.klSum) / predicted,
      swapRate: total((r) => r.openRows) / total((r) => r.rows),
      tokens: total((r) => r.rows),
    },
    strengths: results.flatMap((r) => Array.from(r.strengths)),
  };
}
