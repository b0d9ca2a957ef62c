import { ValueSearch } from '../../src/editing/index.js';
import { median, secondsOf } from './clock.js';
import { asInThePaper, type BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { GemmRate, rateRows } from './gemm-rate.js';
import { type MeasuredProgram, measuredCompiler } from './measured-program.js';

/** Where the time of a value search goes, and at what share of the machine's rate it computes. */
export async function measureValueEfficiency({
  model,
  settings,
  subjects,
  quick,
  options,
}: BenchContext): Promise<Measurement> {
  const fixed = asInThePaper(settings, quick ? 5 : undefined);
  const { programs, compile } = measuredCompiler();
  const search = await ValueSearch.compile(model, fixed, undefined, compile);
  const reference = await GemmRate.compile(model, rateRows[1]);
  const batch = subjects.slice(0, quick ? 8 : options.edits);
  await search.search(batch.slice(0, 1));
  await reference.run();
  for (const account of programs) account.reset();

  const rates: number[] = [];
  const wholes: number[] = [];
  const takeRate = async () => {
    for (let i = 0; i < 5; i++) rates.push(await reference.rate());
  };
  const turns = quick ? 1 : 3;
  for (let turn = 0; turn < turns; turn++) {
    await takeRate();
    wholes.push(await secondsOf(() => search.search(batch, { onStep: () => undefined })));
  }
  await takeRate();
  const seconds = wholes.reduce((sum, whole) => sum + whole, 0);
  const flops = programs.reduce((sum, account) => sum + account.flops, 0);
  const host = seconds - programs.reduce((sum, account) => sum + account.seconds, 0);
  const shares = byUse(programs).flatMap(([name, account]): Figure[] => [
    figure(`share of time: ${name}`, (100 * account.seconds) / seconds, '%'),
    figure(`rate: ${name}`, account.flops / account.seconds / 1e9, 'GFLOP/s'),
  ]);
  await search.dispose();
  await reference.dispose();
  return {
    name: 'value-efficiency',
    note: `${batch.length} edits at once, ${fixed.steps} steps; reference: products of ${rateRows[1]} rows in turns`,
    figures: [
      figure('reference, median', median(rates) / 1e9, 'GFLOP/s'),
      figure('reference, best', Math.max(...rates) / 1e9, 'GFLOP/s'),
      figure('arithmetic', flops / turns / batch.length / 1e9, 'GFLOP/edit'),
      figure('whole search', seconds / turns / batch.length, 's/edit'),
      figure('whole search, rate', flops / seconds / 1e9, 'GFLOP/s'),
      ...shares,
      figure('share of time: host', (100 * host) / seconds, '%'),
      figure('efficiency of the whole search', (100 * flops) / seconds / median(rates), '%', { atLeast: 60 }),
    ],
  };
}

/** The programs of a value search, named by what they compute; `prefix` is absent where no block lies above the value layer. */
function byUse(programs: readonly MeasuredProgram[]): [string, MeasuredProgram][] {
  const names = programs.length === 3 ? ['below', 'prefix', 'objective'] : ['below', 'objective'];
  return programs.map((program, p) => [names[p], program]);
}
