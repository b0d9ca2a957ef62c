/** @file The machine's float32 rate of matrix products, the measure of all efficiencies. */
import { GemmChain } from '../../src/estimate/gemm-chain.js';

import type { Model } from '../../src/model/index.js';
import { interleave, secondsOf } from './clock.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';

/** Row counts at which the rate is measured: few edits, a micro-batch, a batch of text. */
export const rateRows = [224, 896, 2048] as const;

/** The chain of products with the shapes of a model's MLP, on the bench's clock. */
export class GemmRate {
  readonly #chain: GemmChain;

  private constructor(chain: GemmChain) {
    this.#chain = chain;
  }

  static async compile({ config }: Model, rows: number): Promise<GemmRate> {
    return new GemmRate(await GemmChain.compile(config, rows));
  }

  /** Of one run. */
  get flops(): number {
    return this.#chain.flops;
  }

  run(): Promise<unknown> {
    return this.#chain.run();
  }

  /** FLOP/s of one run now. */
  async rate(): Promise<number> {
    return this.flops / (await secondsOf(() => this.run()));
  }

  dispose(): Promise<void> {
    return this.#chain.dispose();
  }
}

/** The rate at each of {@link rateRows}. */
export async function measureGemm({ model, quick }: BenchContext): Promise<Measurement> {
  const rates = await Promise.all(rateRows.map((rows) => GemmRate.compile(model, rows)));
  const jobs = Object.fromEntries(rateRows.map((rows, i) => [String(rows), () => rates[i].run()]));
  const timings = await interleave(jobs, quick ? 5 : 15);
  const figures = rateRows.flatMap((rows, i) => [
    figure(`${rows} rows, best`, rates[i].flops / timings[rows].best / 1e9, 'GFLOP/s'),
    figure(`${rows} rows, median`, rates[i].flops / timings[rows].median / 1e9, 'GFLOP/s'),
  ]);
  for (const rate of rates) await rate.dispose();
  return { name: 'gemm', figures };
}
