/** @file A round as numbers and texts: all that gates, metrics, reports and manifests are made of, without a model. */

import type { GateRow, GateSeparation } from '../evaluation/index.js';
import { median } from '../evaluation/index.js';
import { layerChanges } from './layer-changes.js';
import type { RoundMeasures, SolvedRound } from './records.js';
import type { WrittenRound } from './run-round.js';
import type { Validation } from './validate-round.js';
import { solversOf } from './version-metrics.js';
import type { Workbench } from './workbench.js';

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
