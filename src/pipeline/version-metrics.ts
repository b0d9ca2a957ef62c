import { z } from 'zod';
import type { KeyStatistics } from '../editing/index.js';
import { mean, summarise } from '../evaluation/index.js';
import type { RoundMeasures, SolvedRound } from './measured-round.js';
import type { RevokeMeasures } from './revoke-measures.js';

const share = z.number().nullable();
const beforeAndAfter = { before: share, after: share };

/** See `FactorOrigin`. */
export const solverSchema = z.strictObject({ solver: z.enum(['onnx', 'tensorflow']), reason: z.string() });

/** What a revocation did to the edits that went, and to those that stayed. */
const revocationSchema = z.object({
  /** How many went. */
  edits: z.number(),
  reliability: z.object(beforeAndAfter),
  generality: z.object(beforeAndAfter),
  /** Share of the most probable tokens on their prompts that are the base model's now. */
  baseAgreement: share,
  /** By metric; `fallen` counts the edits that are worse than before, `largestFall` is of one edit. */
  others: z.record(z.string(), z.object({ ...beforeAndAfter, fallen: z.number(), largestFall: z.number() })),
  /** Whether it was published although others fell by more than was tolerated. */
  forced: z.boolean(),
});

/**
 * The metrics that a manifest carries: one round's, and what its making cost. Those of a revocation, which writes nothing,
 * are measured on all edits that stay active.
 */
export const versionMetricsSchema = z.object({
  edits: z.number(),
  reliability: share,
  generality: share,
  locality: share,
  sameSubjectLocality: share,
  efficacySuccess: share,
  paraphraseSuccess: share,
  neighborhoodSuccess: share,
  score: share,
  retention: share,
  liveExactMatch: share,
  perplexityRatio: share,
  klToBase: share,
  swapRate: share,
  writtenShareMedian: share,
  secondsForValues: z.number(),
  secondsForSolve: z.number(),
  /** By layer, who factored its key moment, and why; absent where that was not kept. */
  solvers: z.record(z.string(), solverSchema).exactOptional(),
  revocation: revocationSchema.exactOptional(),
});

export type VersionMetrics = z.infer<typeof versionMetricsSchema>;

/** Flattens a round into a manifest's metrics. */
export function versionMetrics(
  { measurements, answers, drift, retention }: Pick<RoundMeasures, 'measurements' | 'answers' | 'drift' | 'retention'>,
  {
    writtenShare,
    secondsForValues,
    secondsForSolve,
    solvers,
  }: Pick<SolvedRound, 'writtenShare' | 'secondsForValues' | 'secondsForSolve' | 'solvers'>,
): VersionMetrics {
  return {
    ...summarise(measurements),
    retention,
    liveExactMatch: mean(answers.map(({ exactMatch }) => Number(exactMatch))),
    perplexityRatio: drift?.perplexityRatio ?? null,
    klToBase: drift?.klToBase ?? null,
    swapRate: drift?.swapRate ?? null,
    writtenShareMedian: median(writtenShare.flat()),
    secondsForValues,
    secondsForSolve,
    ...(solvers && { solvers }),
  };
}

/** Who made the factors of these statistics, by layer, where that is known. */
export function solversOf(statistics: readonly KeyStatistics[]): Pick<VersionMetrics, 'solvers'> {
  const known = statistics.flatMap(({ layer, origin }) => (origin ? [[String(layer), origin] as const] : []));
  return known.length > 0 ? { solvers: Object.fromEntries(known) } : {};
}

/** A revocation's metrics. */
export function revokeMetrics(
  measures: RevokeMeasures,
  { secondsForSolve, forced }: { readonly secondsForSolve: number; readonly forced: boolean },
): VersionMetrics {
  const { revoked, kept, drift } = measures;
  const measurements = kept.map(({ after }) => after);
  const answers = kept.map(({ edit, texts, exactMatch }) => ({ id: edit.id, text: texts.after, exactMatch }));
  const retention = mean(measurements.map(({ reliability }) => reliability));
  const solved = { writtenShare: [], secondsForValues: 0, secondsForSolve };
  return {
    ...versionMetrics({ measurements, answers, drift, retention }, solved),
    revocation: { ...revocationOf(revoked), others: othersOf(measures.changes), forced },
  };
}

function revocationOf(revoked: RevokeMeasures['revoked']) {
  const before = summarise(revoked.map((edit) => edit.before));
  const after = summarise(revoked.map((edit) => edit.after));
  return {
    edits: revoked.length,
    reliability: { before: before.reliability, after: after.reliability },
    generality: { before: before.generality, after: after.generality },
    baseAgreement: mean(revoked.flatMap(({ agreement }) => agreement)),
  };
}

function othersOf(changes: RevokeMeasures['changes']) {
  return Object.fromEntries(
    changes.map(({ metric, before, after, fallen, worst }) => [
      metric,
      { before, after, fallen, largestFall: worst === null ? 0 : worst.before - worst.after },
    ]),
  );
}

/** Null for no values. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
