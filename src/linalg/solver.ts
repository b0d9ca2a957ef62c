/** @file Chooses who factors: TensorFlow if it is wanted, loads and is faster, else the default engine. */
import { type FactorEngine, GemmFactorEngine, type InverseFactor } from './factor-engine.js';
import type { GemmEngine } from './gemm.js';
import type { Matrix } from './matrix.js';
import { refinedInverseFactor } from './refined-factor.js';
import type { Tensorflow } from './tensorflow-kernels.js';

/** Who factors; `auto` takes TensorFlow on a GPU for matrices that are large enough. */
export type SolverChoice = 'auto' | 'onnx' | 'tensorflow';

/** Every choice. */
export const solverChoices: readonly SolverChoice[] = ['auto', 'onnx', 'tensorflow'];

/** Which solver is wanted. */
export interface SolverRequest {
  readonly choice: SolverChoice;
  /** Folder whose `node_modules` hold TensorFlow's package for Node.js; by default where hookline is installed. */
  readonly tensorflowFolder?: string;
}

/** What a solver works with. */
export interface SolverParts extends SolverRequest {
  /** Products in float64. */
  readonly engine: GemmEngine;
  /** Told which solver is used and why, once for each reason. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** `auto` tries TensorFlow from this many rows on. Below, the default engine is done before the library is loaded. */
const fewestRowsForTensorflow = 4096;

/**
 * The solver of a request. TensorFlow is loaded only when it is to factor a matrix. If it cannot, the default engine
 * does, and the origin of the factor says why.
 */
export class Solver implements FactorEngine {
  readonly #parts: SolverParts;
  readonly #said = new Set<string>();
  #tensorflow: Tensorflow | undefined;

  constructor(parts: SolverParts) {
    this.#parts = parts;
  }

  async inverseFactor(a: Matrix, what: string): Promise<InverseFactor> {
    const { engine } = this.#parts;
    const attempt = await this.#attempt(a);
    const result =
      'factor' in attempt ? attempt : await new GemmFactorEngine(engine, attempt.reason).inverseFactor(a, what);
    const { solver, reason } = result.origin;
    this.#say(`factored by ${solver}: ${reason}`);
    return result;
  }

  /** The factor from TensorFlow, or the reason for not using it. */
  async #attempt(a: Matrix): Promise<InverseFactor | { readonly reason: string }> {
    const { choice, engine } = this.#parts;
    if (choice === 'onnx') return { reason: 'as asked for' };
    if (choice === 'auto' && a.rows < fewestRowsForTensorflow) {
      return { reason: `auto, ${a.rows} rows are fewer than the ${fewestRowsForTensorflow} where TensorFlow may pay` };
    }
    const tensorflow = await this.#open();
    const but = choice === 'auto' ? 'auto, but' : 'tensorflow was asked for, but';
    if ('missing' in tensorflow) return { reason: `${but} ${tensorflow.missing}` };
    const { kernels } = tensorflow;
    const { description } = kernels;
    if (choice === 'auto' && !kernels.isGpu) return { reason: `auto, ${description} is slower` };
    try {
      const refined = await refinedInverseFactor(a, kernels, engine);
      if ('refusal' in refined) return { reason: `${but} ${description} cannot do it: ${refined.refusal}` };
      const { factor, residuals, error } = refined;
      const why = choice === 'auto' ? 'auto' : 'as asked for';
      const reason = `${why}, ${description}, refined to ${error.toExponential(0)} by ${residuals} float64 residuals`;
      return { factor, origin: { solver: 'tensorflow', reason } };
    } catch (error) {
      // For instance the GPU has too little memory. The other solver is used, and gives this as the reason.
      const message = error instanceof Error ? error.message : String(error);
      return { reason: `${but} ${description} failed: ${message.split('\n')[0]}` };
    }
  }

  async #open(): Promise<Tensorflow> {
    const { tensorflowFolder } = this.#parts;
    this.#tensorflow ??= (await import('./tensorflow-kernels.js')).openTensorflow(tensorflowFolder);
    return this.#tensorflow;
  }

  #say(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#parts.onNotice?.(message);
  }
}
