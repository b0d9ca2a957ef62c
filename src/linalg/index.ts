/** @file The face of linalg: float64 matrices, symmetric solves, and the consecutive update of a hooked layer. */
export { appendRound, type RoundStorage, responsesAt, whiten } from './append-round.js';
export { cholesky, defaultRelativeRidge, inverseFactor, regularise } from './cholesky.js';
export { removeEdits, replayRounds, withoutIndices } from './edit-history.js';
export { type EditMemory, emptyMemory, type RoundSegment, weightChange } from './edit-memory.js';
export { type FactorEngine, type FactorOrigin, GemmFactorEngine } from './factor-engine.js';
export { type GemmEngine, PlainGemmEngine, type ProductOptions } from './gemm.js';
export { keySketch } from './key-sketch.js';
export { addTo, block, columnNorms, type Matrix, matrix, stackColumns, stackRows, transpose } from './matrix.js';
export { randomIntegers, randomSigns } from './random.js';
export { productNorm, productSingularValues, type SingularValues } from './singular-values.js';
export { Solver, type SolverChoice, type SolverRequest, solverChoices } from './solver.js';
export { blockRanges, blockSize, wideStep } from './triangular.js';
