import type { EditMeasurement } from './measure-edits.js';

/** Means over edits; null if there was nothing to measure. Shares lie in 0..1. */
export interface EditSummary {
  /** How many edits were measured. */
  readonly measured: number;
  readonly reliability: number | null;
  readonly generality: number | null;
  readonly portability: number | null;
  readonly locality: number | null;
  readonly sameSubjectLocality: number | null;
  readonly efficacySuccess: number | null;
  readonly paraphraseSuccess: number | null;
  readonly neighborhoodSuccess: number | null;
  /** Harmonic mean of the three successes (MEMIT, section 5). */
  readonly score: number | null;
}

/** Averages measurements: first within an edit, then over the edits that have any. */
export function summarise(measurements: readonly EditMeasurement[]): EditSummary {
  const over = (values: (m: EditMeasurement) => readonly (number | boolean)[]) =>
    mean(measurements.map((m) => mean(values(m).map(Number))).filter((value) => value !== null));
  const efficacySuccess = over((m) => (m.efficacy === undefined ? [] : [m.efficacy]));
  const paraphraseSuccess = over((m) => m.paraphraseSuccess);
  const neighborhoodSuccess = over((m) => m.neighborhoodSuccess);
  return {
    measured: measurements.length,
    reliability: over((m) => [m.reliability]),
    generality: over((m) => m.generality),
    portability: over((m) => m.portability),
    locality: over((m) => m.locality),
    sameSubjectLocality: over((m) => m.sameSubjectLocality),
    efficacySuccess,
    paraphraseSuccess,
    neighborhoodSuccess,
    score: harmonicMean([efficacySuccess, paraphraseSuccess, neighborhoodSuccess]),
  };
}

/** Null for no values. */
export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Null if a value is missing, 0 if one is 0. */
function harmonicMean(values: readonly (number | null)[]): number | null {
  let reciprocals = 0;
  for (const value of values) {
    if (value === null) return null;
    if (value === 0) return 0;
    reciprocals += 1 / value;
  }
  return values.length / reciprocals;
}

/** Null for no values. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
