import { inverseFactorFlops } from '../../src/estimate/dense-work.js';
import { appendRound, emptyMemory, inverseFactor, type Matrix, matrix } from '../../src/linalg/index.js';
import { OnnxGemmEngine } from '../../src/runtime/index.js';
import { secondsOf, timing } from './clock.js';
import type { BenchContext } from './context.js';
import { figure, type Measurement } from './figure.js';
import { normal } from './random.js';

const editsPerRound = 10;

/** The linear algebra at the model's inner width: factor once per model and layer, and the solve of a round. */
export async function measureInverseFactor({ model, settings, quick }: BenchContext): Promise<Measurement> {
  const { dInner, dModel } = model.config;
  const engine = new OnnxGemmEngine();
  const moment = await randomMoment(dInner, engine);
  const factorSeconds: number[] = [];
  let factor = matrix(0, 0);
  for (let turn = 0; turn < (quick ? 1 : 3); turn++) {
    factorSeconds.push(
      await secondsOf(async () => {
        factor = await inverseFactor(moment, engine);
      }),
    );
  }
  const next = normal(3);
  const random = (rows: number, columns: number) =>
    matrix(rows, columns, Float64Array.from({ length: rows * columns }, next));
  let memory = emptyMemory(dInner, dModel, settings.momentWeight * dInner);
  const roundSeconds: number[] = [];
  for (let round = 0; round < 10; round++) {
    const [keys, residuals] = [random(dInner, editsPerRound), random(dModel, editsPerRound)];
    roundSeconds.push(
      await secondsOf(async () => {
        memory = (await appendRound(memory, keys, residuals, factor, engine)).memory;
      }),
    );
  }
  await engine.dispose();
  return {
    name: 'inverse-factor',
    figures: [
      figure(`inverse factor of ${dInner} x ${dInner}, best`, timing(factorSeconds).best, 's'),
      figure(
        'its rate (n³ FLOPs: factor and inverse)',
        inverseFactorFlops(dInner) / timing(factorSeconds).best / 1e9,
        'GFLOP/s',
      ),
      figure(`solve of a round of ${editsPerRound}, best`, 1000 * timing(roundSeconds).best, 'ms'),
      figure(`solve of a round of ${editsPerRound}, median`, 1000 * timing(roundSeconds).median, 'ms'),
    ],
  };
}

/** `X Xᵀ / n + 0.1 I` of normal numbers. */
async function randomMoment(size: number, engine: OnnxGemmEngine): Promise<Matrix> {
  const next = normal(2);
  const factor = matrix(size, size, Float64Array.from({ length: size * size }, next));
  const moment = await engine.gemm(factor, factor, { transB: true, alpha: 1 / size });
  for (let i = 0; i < size; i++) moment.data[i * size + i] += 0.1;
  return moment;
}
