import type { Work } from './work.js';

/** The rates that a machine reaches for each kind of work. */
export interface EffectiveRates {
  /** FLOP/s of float32 products of many rows. */
  readonly gemmFlops: number;
  /** FLOP/s of attention's batched products. */
  readonly attentionFlops: number;
  /** FLOP/s of float64 products. */
  readonly float64Flops: number;
  /** FLOP/s of plain TypeScript. */
  readonly hostFlops: number;
  /** Bytes per second at which products of few rows read their weights. */
  readonly operandBytes: number;
  /** Numbers per second that an elementwise operator puts out. */
  readonly elements: number;
  /** Seconds to start an operator. */
  readonly operatorSeconds: number;
  /** Seconds to start a run of a program. */
  readonly runSeconds: number;
  /** Bytes per second between host and device; null if they are the same. */
  readonly transferBytes: number | null;
  /** Numbers per second that plain TypeScript visits. */
  readonly hostElements: number;
  /** Numbers per second that plain TypeScript rounds to eight bits and back. */
  readonly roundedNumbers: number;
  /** Bytes per second of model files from disk to device. */
  readonly loadBytes: number;
  /** Bytes per second to and from the object store. */
  readonly storeBytes: number;
}

/**
 * Seconds that work takes: `Σ amount / rate` over its kinds. Nothing overlaps, because programs run one after the other
 * and plain TypeScript waits for them.
 */
export function secondsOf(work: Work, rates: EffectiveRates): number {
  return (
    work.gemmFlops / rates.gemmFlops +
    work.attentionFlops / rates.attentionFlops +
    work.float64Flops / rates.float64Flops +
    work.hostFlops / rates.hostFlops +
    work.operandBytes / rates.operandBytes +
    work.elements / rates.elements +
    work.operators * rates.operatorSeconds +
    work.runs * rates.runSeconds +
    (rates.transferBytes === null ? 0 : work.transferBytes / rates.transferBytes) +
    work.hostElements / rates.hostElements +
    work.roundedNumbers / rates.roundedNumbers +
    work.loadBytes / rates.loadBytes +
    work.storeBytes / rates.storeBytes
  );
}
