/** Timed runs of each job. The median counts. */
const turns = 7;

/** Measures the seconds of jobs, as the median of several runs after a first one that warms up. */
export class Stopwatch {
  readonly #signal: AbortSignal | undefined;

  /** @param signal ends the measurement between two jobs, by throwing its reason */
  constructor(
    readonly nowSeconds: () => number,
    signal?: AbortSignal,
  ) {
    this.#signal = signal;
  }

  /** Seconds of a job. */
  secondsOf(job: () => Promise<unknown>): Promise<number> {
    return this.medianOf(async () => {
      const start = this.nowSeconds();
      await job();
      return this.nowSeconds() - start;
    });
  }

  /** Median of the seconds that a job measures itself. It is never 0, so that there is a rate. */
  async medianOf(sample: () => Promise<number>): Promise<number> {
    this.#signal?.throwIfAborted();
    await sample();
    const seconds: number[] = [];
    for (let turn = 0; turn < turns; turn++) seconds.push(await sample());
    return Math.max(1e-7, seconds.toSorted((a, b) => a - b)[turns >> 1]);
  }
}
