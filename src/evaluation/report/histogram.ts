/** @file Counting samples into bins. */

/**
 * Equal bins over `[low, high]`: `counts[i]` lie in `[low + i width, low + (i + 1) width)`, the last bin takes `high`
 * too.
 */
export interface Histogram {
  readonly low: number;
  readonly width: number;
  readonly counts: readonly number[];
  readonly total: number;
}

/** A histogram of the finite samples; those outside the range count in the outermost bins. */
export function histogram(samples: readonly number[], low: number, high: number, bins: number): Histogram {
  const width = (high - low) / bins;
  const counts = new Array<number>(bins).fill(0);
  let total = 0;
  for (const sample of samples) {
    if (!Number.isFinite(sample)) continue;
    const index = Math.floor((sample - low) / width + 1e-9); // the nudge keeps bin edges in the bin that they begin
    counts[Math.min(bins - 1, Math.max(0, index))]++;
    total++;
  }
  return { low, width, counts, total };
}

/** Each bin's share of the sample, so that samples of very different sizes compare. */
export function shares({ counts, total }: Histogram): number[] {
  return counts.map((count) => (total === 0 ? 0 : count / total));
}

/** The least and greatest finite value; undefined where there is none. */
export function extent(samples: Iterable<number>): readonly [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const sample of samples) {
    if (!Number.isFinite(sample)) continue;
    if (sample < low) low = sample;
    if (sample > high) high = sample;
  }
  return low > high ? undefined : [low, high];
}
