import { ValueSearch } from '../../src/editing/index.js';
import { median, secondsOf } from './clock.js';
import { asInThePaper, type BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { PlainSearch } from './plain-search.js';

/**
 * Seconds per edit of the value search against the plain loop: same edits, same steps, same process, in turns; and how far
 * apart their values are.
 */
export async function measureValueSearch(context: BenchContext): Promise<Measurement> {
  const { model, quick } = context;
  const subjects = context.subjects.slice(0, quick ? 4 : context.options.edits);
  const plainSubjects = subjects.slice(0, quick ? 2 : 4);
  const fixed = asInThePaper(context.settings, quick ? 5 : undefined);
  const search = await ValueSearch.compile(model, fixed);
  const plain = await PlainSearch.compile(model, fixed);
  await search.search(subjects.slice(0, 1));

  const [fastSeconds, plainSeconds, differences]: [number[], number[], number[]] = [[], [], []];
  for (const [e, subject] of plainSubjects.entries()) {
    let found: readonly { readonly delta: Float64Array }[] = [];
    let expected: Awaited<ReturnType<PlainSearch['search']>> | undefined;
    const turn = async () => {
      found = await search.search(subjects);
    };
    // Fast, plain, plain, fast, …: neither is always the first.
    if (e % 2 === 0) fastSeconds.push((await secondsOf(turn)) / subjects.length);
    plainSeconds.push(
      await secondsOf(async () => {
        expected = await plain.search(subject);
      }),
    );
    if (e % 2 === 1) fastSeconds.push((await secondsOf(turn)) / subjects.length);
    differences.push(differenceOf(found[e].delta, expected!.delta) / Math.hypot(...expected!.target));
  }
  await plain.dispose();
  await search.dispose();
  const stopping = await stoppingSearch(context, subjects.length);
  return {
    name: 'value-search',
    note: `${subjects.length} edits at once against one at a time, ${fixed.steps} steps, six templates`,
    figures: [
      figure('plain loop, best', Math.min(...plainSeconds), 's/edit'),
      figure('plain loop, median', median(plainSeconds), 's/edit'),
      figure('value search, best', Math.min(...fastSeconds), 's/edit'),
      figure('value search, median', median(fastSeconds), 's/edit'),
      figure('plain / value search, best', Math.min(...plainSeconds) / Math.min(...fastSeconds), 'x'),
      figure('plain / value search, median', median(plainSeconds) / median(fastSeconds), 'x', { atLeast: 4 }),
      figure('relative difference of the values', Math.max(...differences), '', { atMost: 1e-3 }),
      ...stopping,
    ],
  };
}

/** The same with the default stop rule: edits leave when they are done. */
async function stoppingSearch({ model, settings, subjects }: BenchContext, count: number) {
  const search = await ValueSearch.compile(model, settings);
  let steps = 0;
  const seconds = await secondsOf(async () => {
    const found = await search.search(subjects.slice(0, count));
    steps = median(found.map(({ losses }) => losses.length));
  });
  await search.dispose();
  return [
    figure('value search, default stop', seconds / count, 's/edit'),
    figure('evaluations with default stop, median', steps, ''),
  ];
}

function differenceOf(actual: Float64Array, expected: Float64Array): number {
  return Math.hypot(...actual.map((value, i) => value - expected[i]));
}
