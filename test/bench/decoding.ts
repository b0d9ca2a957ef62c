import { HookableModel } from '../../src/serving/index.js';
import { interleave, median } from './clock.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { randomHooks } from './hooks.js';

const hookedEdits = 100;

/** Tokens per second of generation with a cache, with hooks of {@link hookedEdits} edits and without any hook at all. */
export async function measureDecoding({ model, settings, text, quick }: BenchContext): Promise<Measurement> {
  const { layers, gate } = settings;
  const bare = await HookableModel.compile(model, { layers: [], gate });
  const hooked = await HookableModel.compile(model, { layers, gate });
  const hooks = randomHooks(model, settings, hookedEdits);
  const figures: Figure[] = [];
  const [promptTokens, maxTokens] = [16, 48];
  for (const [batch, turns] of [
    [1, quick ? 5 : 25],
    [8, quick ? 5 : 15],
  ]) {
    const prompts = text(batch, promptTokens);
    const timings = await interleave(
      {
        bare: () => bare.generate(prompts, { maxTokens }),
        hooked: () => hooked.generate(prompts, { maxTokens, hooks }),
      },
      turns,
    );
    const ratios = timings.bare.seconds.map((seconds, turn) => seconds / timings.hooked.seconds[turn]);
    const rate = (seconds: number) => (batch * maxTokens) / seconds;
    const what = batch === 1 ? 'one sequence' : `${batch} sequences at once`;
    figures.push(
      figure(`${what}: without hooks, best`, rate(timings.bare.best), 'tokens/s'),
      figure(`${what}: with hooks, best`, rate(timings.hooked.best), 'tokens/s'),
      figure(`${what}: with / without, best`, timings.bare.best / timings.hooked.best, 'x'),
      figure(`${what}: with / without, median of the turns`, median(ratios), 'x', { atLeast: 0.95 }),
    );
  }
  await Promise.all([bare.dispose(), hooked.dispose()]);
  return { name: 'decoding', note: `${hookedEdits} edits, gate ${gate}, greedy, ${maxTokens} tokens each`, figures };
}
