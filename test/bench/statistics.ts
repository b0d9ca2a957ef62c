import { emptyMomentSums, KeyMomentProgram } from '../../src/editing/index.js';
import { median, secondsOf } from './clock.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { GemmRate, rateRows } from './gemm-rate.js';
import { measuredCompiler } from './measured-program.js';

const batch = 8;
const tokens = 128;

/** Tokens per second of the key moments, and at what share of the machine's rate they are computed. */
export async function measureStatistics({ model, settings, text, quick }: BenchContext): Promise<Measurement> {
  const { layers } = settings;
  const { programs, compile } = measuredCompiler();
  const moments = await KeyMomentProgram.compile(model, layers, undefined, compile);
  const [account] = programs;
  const reference = await GemmRate.compile(model, rateRows[1]);
  const sequences = text(batch, tokens);
  const sums = emptyMomentSums(layers, model.config.dInner);
  await moments.add(sequences, sums);
  await reference.run();
  account.reset();
  const [wholes, rates]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < (quick ? 5 : 15); turn++) {
    rates.push(await reference.rate());
    wholes.push(await secondsOf(() => moments.add(sequences, sums)));
  }
  await moments.dispose();
  await reference.dispose();
  const seconds = wholes.reduce((sum, whole) => sum + whole, 0);
  const flops = account.flops / account.runs;
  return {
    name: 'statistics',
    note: `batches of ${batch} x ${tokens} tokens, layers ${layers.join(', ')}; reference: products of ${rateRows[1]} rows in turns`,
    figures: [
      figure('reference, median', median(rates) / 1e9, 'GFLOP/s'),
      figure('tokens, best', (batch * tokens) / Math.min(...wholes), 'tokens/s'),
      figure('tokens, median', (batch * tokens) / median(wholes), 'tokens/s'),
      figure('rate, median', flops / median(wholes) / 1e9, 'GFLOP/s'),
      figure('share of time: host', 100 * (1 - account.seconds / seconds), '%'),
      figure('efficiency, best', (100 * flops) / Math.min(...wholes) / Math.max(...rates), '%'),
      figure('efficiency, median', (100 * flops) / median(wholes) / median(rates), '%', { atLeast: 60 }),
    ],
  };
}
