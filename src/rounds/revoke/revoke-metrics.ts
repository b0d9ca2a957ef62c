import { mean, summarise } from '../../evaluation/index.js';
import type { VersionMetrics } from '../records.js';
import { versionMetrics } from '../version-metrics.js';
import type { RevokeMeasures } from './revoke-measures.js';

/** A revocation's metrics. */
export function revokeMetrics(
  measures: RevokeMeasures,
  { secondsForSolve, forced }: { readonly secondsForSolve: number; readonly forced: boolean },
): VersionMetrics {
  const { revoked, kept, drift } = measures;
  const measurements = kept.map(({ after }) => after);
  const answers = kept.map(({ answer }) => answer);
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
