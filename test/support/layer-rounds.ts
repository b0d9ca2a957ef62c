import type { AppendedRound } from '../../src/linalg/append-round.js';
import { multiply } from '../../src/linalg/gemm.js';
import {
  appendRound,
  type EditMemory,
  emptyMemory,
  inverseFactor,
  type Matrix,
  PlainGemmEngine,
} from '../../src/linalg/index.js';
import { block, setBlock } from '../../src/linalg/matrix.js';
import { gaussian, illConditioned, spectrumRoot } from './random-matrix.js';

export const engine = new PlainGemmEngine();
export const dInner = 40;
export const dModel = 11;
export const momentWeight = 8;
export const moment = illConditioned(dInner, 1e4, 7);
const root = spectrumRoot(dInner, 1e4, 7);
export const factor = await inverseFactor(moment, engine);

/** Keys `[dInner, n]` and residuals `[dModel, n]` of a round. */
export interface Round {
  readonly keys: Matrix;
  readonly residuals: Matrix;
}

/** A round of random edits. */
export function round(seed: number, edits: number): Round {
  return { keys: multiply(root, gaussian(dInner, edits, seed)), residuals: gaussian(dModel, edits, seed + 1000) };
}

/** Five rounds of seven edits; the fourth round writes a key of the first again, the fifth holds one key twice. */
export function history(): Round[] {
  const rounds = [10, 20, 30, 40, 50].map((seed) => round(seed, 7));
  setBlock(rounds[3].keys, 0, 2, block(rounds[0].keys, 0, dInner, 4, 5));
  setBlock(rounds[4].keys, 0, 1, block(rounds[4].keys, 0, dInner, 0, 1));
  return rounds;
}

/** Writes the rounds one on top of the other. */
export async function write(rounds: readonly Round[], weight = momentWeight): Promise<AppendedRound[]> {
  const written: AppendedRound[] = [];
  let memory = emptyMemory(dInner, dModel, weight);
  for (const { keys, residuals } of rounds) {
    const next = await appendRound(memory, keys, residuals, factor, engine);
    written.push(next);
    memory = next.memory;
  }
  return written;
}

export const last = (written: readonly AppendedRound[]): EditMemory => written[written.length - 1].memory;
