import { ValueSearch } from '../../src/editing/index.js';
import { interleave } from './clock.js';
import { asInThePaper, type BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';

/** Seconds per edit by how many edits are sought at once. */
export async function measureMicroBatches({ model, settings, subjects, quick }: BenchContext): Promise<Measurement> {
  const steps = quick ? 3 : 10;
  const search = await ValueSearch.compile(model, asInThePaper(settings, steps));
  const sizes = [1, 4, 16].filter((size) => size <= subjects.length);
  const jobs = Object.fromEntries(sizes.map((size) => [String(size), () => search.search(subjects.slice(0, size))]));
  const timings = await interleave(jobs, quick ? 2 : 4);
  await search.dispose();
  return {
    name: 'micro-batches',
    note: `${steps} steps`,
    figures: sizes.flatMap((size) => [
      figure(`${size} at once, best`, timings[size].best / size, 's/edit'),
      figure(`${size} at once, median`, timings[size].median / size, 's/edit'),
    ]),
  };
}
