/** @file One inverse factor in a process of its own, which then says how long it took and how much memory. */
import { type Matrix, matrix, Solver, type SolverChoice } from '../../src/linalg/index.js';
import { OnnxGemmEngine } from '../../src/runtime/index.js';
import { uniform } from './random.js';
import type { ChildFactor } from './solvers.js';

/**
 * A moment that costs nothing to make, of condition about 1e5 after and 1e9 before scaling to unit diagonal:
 * `s_i s_j exp(-|i - j| / 150)`, s from 1e-2 to 1.
 */
function cheapMoment(size: number): Matrix {
  const next = uniform(1);
  const scales = Float64Array.from({ length: size }, () => 10 ** (-2 * next()));
  const falling = Float64Array.from({ length: size }, (_, distance) => Math.exp(-distance / 150));
  const moment = matrix(size, size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) moment.data[i * size + j] = scales[i] * scales[j] * falling[Math.abs(i - j)];
  }
  return moment;
}

const [choice, width] = process.argv.slice(2) as [SolverChoice, string];
const startBytes = process.memoryUsage.rss();
const size = Number(width);
const engine = new OnnxGemmEngine();
const tensorflowFolder = process.env.HOOKLINE_TFJS;
const solver = new Solver({ choice, engine, ...(tensorflowFolder && { tensorflowFolder }) });
// What a solver loads is not a matrix's cost.
await solver.inverseFactor(cheapMoment(8), 'a small moment');
const moment = cheapMoment(size);
const start = performance.now();
const { factor, origin } = await solver.inverseFactor(moment, 'moment');
const seconds = (performance.now() - start) / 1000;
const peakBytes = process.resourceUsage().maxRSS * 1024;
const next = uniform(2);
const keys = matrix(size, 4, Float64Array.from({ length: 4 * size }, next));
const whitened = await engine.gemm(factor, await engine.gemm(factor, keys), { transA: true });
const result: ChildFactor = {
  origin: `${origin.solver}, ${origin.reason}`,
  seconds,
  startBytes,
  peakBytes,
  whitened: Array.from(whitened.data.subarray(0, 2 ** 14)),
};
process.stdout.write(JSON.stringify(result));
