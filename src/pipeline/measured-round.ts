/** @file A round as numbers and texts: all that gates, metrics, reports and manifests are made of, without a model. */
import type { Drift, EditMeasurement, GateRow, GateSeparation, LiveAnswer } from '../evaluation/index.js';
import { layerChanges } from './layer-changes.js';
import type { SolveRecord } from './round-plan.js';
import type { WrittenRound } from './run-round.js';
import type { Validation } from './validate-round.js';
import { median, solversOf } from './version-metrics.js';
import type { Workbench } from './workbench.js';

/** What writing a round told. */
export type SolvedRound = Pick<
  SolveRecord,
  'writtenShare' | 'valueSteps' | 'valueLosses' | 'secondsForValues' | 'secondsForSolve' | 'layers' | 'solvers'
>;

/** What was measured on a round, edit by edit where it is a list. */
export interface RoundMeasures {
  readonly measurements: readonly EditMeasurement[];
  /** Id of the edit whose gate opened on an edit's prompt. */
  readonly firedBy: readonly (string | null)[];
  /** Greedy text of the base model. */
  readonly before: readonly LiveAnswer[];
  readonly answers: readonly LiveAnswer[];
  /** Null without held-out text. */
  readonly drift: Drift | null;
  readonly retention: number | null;
  /** Null for gates that compare no keys. */
  readonly separation: GateSeparation | null;
  readonly gates: readonly GateRow[];
}

/** A written round as plain data. */
export async function solvedRound(bench: Workbench, round: WrittenRound): Promise<SolvedRound> {
  const writtenShare = round.writtenShare.map((share) => Array.from(share));
  const changes = await layerChanges(bench.model, round.state, bench.engine);
  return {
    writtenShare,
    valueSteps: round.targets.map((target) => target.losses.length - 1),
    valueLosses: round.targets.map((target) => target.losses.at(-1)!),
    secondsForValues: round.secondsForValues,
    secondsForSolve: round.secondsForSolve,
    ...solversOf(bench.statistics),
    layers: changes.map((change, i) => ({ ...change, writtenShareMedian: median(writtenShare[i]) })),
  };
}

/** A validation as plain data. */
export function roundMeasures(
  { state }: Pick<WrittenRound, 'state'>,
  validation: Validation,
  { gates, separation }: { readonly gates: readonly GateRow[]; readonly separation: GateSeparation | undefined },
): RoundMeasures {
  const { measurements, before, answers, drift, retention } = validation;
  const firedBy = measurements.map(({ firing }) => (firing && state.editIds[firing.editIndex]) ?? null);
  return { measurements, firedBy, before, answers, drift, retention, gates, separation: separation ?? null };
}
