/** @file The face of linalg: float64 matrices, symmetric solves, and the consecutive update of a hooked layer. */
export {
  appendRound,
  type CrossRounding,
  type Rounding,
  type RoundStorage,
  type WhitenedKeys,
  type WrittenRound,
  whiten,
} from './append-round.js';
export { cholesky, defaultRelativeRidge, inverseFactor, regularise, solveCholesky } from './cholesky.js';
export { type HistoryRound, removeEdits, replayRounds, withoutIndices } from './edit-history.js';
export { type EditMemory, emptyMemory, type RoundSegment, weightChange } from './edit-memory.js';
export { type FactorEngine, type FactorOrigin, GemmFactorEngine } from './factor-engine.js';
export { type GemmEngine, type GemmOptions, multiply, PlainGemmEngine } from './gemm.js';
export { keySketch } from './key-sketch.js';
export { addTo, block, identity, type Matrix, matrix, stackColumns, transpose } from './matrix.js';
export { productNorm, productSingularValues, type SingularValues } from './singular-values.js';
export { Solver, type SolverChoice, type SolverRequest, solverChoices } from './solver.js';
export { blockRanges, blockSize, wideStep } from './triangular.js';
