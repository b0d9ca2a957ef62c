/** What a piece of computing asks of a machine, by kind: each kind has a rate of its own, see {@link secondsOf}. */
export interface Work {
  /** FLOPs of float32 products of rows with weights, forward and backward. */
  readonly gemmFlops: number;
  /** FLOPs of attention's batched float32 products, padding of the rectangle included. */
  readonly attentionFlops: number;
  /** FLOPs of float64 products that the runtime does. */
  readonly float64Flops: number;
  /** FLOPs of float64 arithmetic in plain TypeScript. */
  readonly hostFlops: number;
  /** Bytes of weights and other large operands, once for each product that reads them. */
  readonly operandBytes: number;
  /** Numbers that elementwise operators put out. */
  readonly elements: number;
  /** Operators that are started. */
  readonly operators: number;
  /** Runs of a program. */
  readonly runs: number;
  /** Bytes that feeds and outputs hold: between host and device where these are two. */
  readonly transferBytes: number;
  /** Numbers that plain TypeScript goes over, a simple operation each. */
  readonly hostElements: number;
  /** Numbers that plain TypeScript rounds to eight bits and back. */
  readonly roundedNumbers: number;
  /** Bytes of model files that are read and made ready for a device. */
  readonly loadBytes: number;
  /** Bytes written to and read from the object store. */
  readonly storeBytes: number;
}

/** No work. */
export const noWork: Work = {
  gemmFlops: 0,
  attentionFlops: 0,
  float64Flops: 0,
  hostFlops: 0,
  operandBytes: 0,
  elements: 0,
  operators: 0,
  runs: 0,
  transferBytes: 0,
  hostElements: 0,
  roundedNumbers: 0,
  loadBytes: 0,
  storeBytes: 0,
};

const kinds = Object.keys(noWork) as (keyof Work)[];

/** Work of these kinds, none of the others. */
export const workOf = (some: Partial<Work>): Work => ({ ...noWork, ...some });

/** All of it. */
export const sumWork = (...all: readonly Work[]): Work =>
  combine((kind) => all.reduce((sum, work) => sum + work[kind], 0));

/** So many times the same; a fraction is a share. */
export const timesWork = (factor: number, work: Work): Work => combine((kind) => factor * work[kind]);

function combine(amountOf: (kind: keyof Work) => number): Work {
  // Filled in place: an estimate adds up works by the hundred thousand.
  const work: { -readonly [Kind in keyof Work]: Work[Kind] } = { ...noWork };
  for (const kind of kinds) work[kind] = amountOf(kind);
  return work;
}

/** All floating-point operations of products, whoever does them. */
export const flopsOf = ({ gemmFlops, attentionFlops, float64Flops, hostFlops }: Work): number =>
  gemmFlops + attentionFlops + float64Flops + hostFlops;
