import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { promisify } from 'node:util';
import { inverseFactorFlops } from '../../src/estimate/dense-work.js';
import type { SolverChoice } from '../../src/linalg/index.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';

/** What a child process says of one factor. */
export interface ChildFactor {
  /** As it came to be. */
  readonly origin: string;
  readonly seconds: number;
  readonly startBytes: number;
  readonly peakBytes: number;
  /** Some of `P0 K`, row by row. */
  readonly whitened: readonly number[];
}

/** The inverse factor of moments of several widths by each solver, each in a process of its own: time, peak memory, agreement. */
export async function measureSolvers({ options }: BenchContext): Promise<Measurement> {
  const figures: Figure[] = [];
  const origins: string[] = [];
  for (const width of options.widths) {
    let first: readonly number[] | undefined;
    for (const solver of options.solvers) {
      const { origin, seconds, startBytes, peakBytes, whitened } = await runChild(solver, width);
      const what = `${solver}, ${width} x ${width}`;
      figures.push(
        figure(what, seconds, 's'),
        figure(`${what}: rate of the least work, 2 n³ / 3`, inverseFactorFlops(width) / seconds / 1e9, 'GFLOP/s'),
        figure(`${what}: peak resident`, peakBytes / 2 ** 30, 'GiB'),
        figure(`${what}: with the moment, in matrices`, (peakBytes - startBytes) / (8 * width ** 2), 'x'),
      );
      if (first !== undefined) {
        figures.push(figure(`${what}: P0 K against ${options.solvers[0]}`, difference(whitened, first), '', parity));
      }
      first ??= whitened;
      origins.push(`${what}: ${origin}`);
    }
  }
  return { name: 'solvers', note: `${origins.join('\n')}\nload ${loadavg()[0].toFixed(1)} at the end`, figures };
}

const parity = { atMost: 1e-8 };

async function runChild(solver: SolverChoice, width: number): Promise<ChildFactor> {
  const script = new URL('./solvers-child.js', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [script, solver, String(width)], {
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(stdout);
}

/** `|a - b| / |b|`. */
function difference(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - b[i])) / Math.hypot(...b);
}
