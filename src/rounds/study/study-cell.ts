/** @file One cell of a study: what is written how, what was measured, and how it is stored. */
import { z } from 'zod';
import type { GateKind } from '../../editing/index.js';
import type { StudyCell } from '../../evaluation/index.js';
import { historyKinds } from './split-solve.js';

/** Gates whose decisions do not depend on how a batch was split into rounds, as those of `sequence` do. */
export const studyGates = ['none', 'nearest', 'key'] as const satisfies readonly GateKind[];
export type StudyGate = (typeof studyGates)[number];

/** The grid of a study. */
export interface StudyGrid {
  /** Numbers of rounds. */
  readonly splits: readonly number[];
  /** lambda / dInner; 0 is EMMET's limit. */
  readonly weights: readonly number[];
  readonly histories: readonly StudyCell['history'][];
  readonly gates: readonly StudyGate[];
}

/** What tells a cell from the others. */
export interface CellPlace extends Pick<StudyCell, 'history' | 'rounds' | 'momentWeight'> {
  readonly gate: StudyGate;
}

/**
 * The cells of a grid, gate by gate. A single round has no history. Behind `nearest` a row says its own value whatever the solve
 * made of the others, so there weight and history are not varied.
 */
export function cellsOf({ splits, weights, histories, gates }: StudyGrid): CellPlace[] {
  return gates.flatMap((gate) => {
    const isAlone = gate === 'nearest';
    return (isAlone ? (['kept'] as const) : histories).flatMap((history, h) =>
      (isAlone ? weights.slice(0, 1) : weights).flatMap((momentWeight) =>
        splits
          .filter((rounds) => h === 0 || rounds > 1)
          .map((rounds): CellPlace => ({ gate, history: rounds === 1 ? 'kept' : history, rounds, momentWeight })),
      ),
    );
  });
}

const metric = z.number().nullable();
const part = z.strictObject({ reliability: metric, generality: metric });

/** A measured cell, as the store holds it. */
export const cellForm: { readonly schema: z.ZodType<StudyCell>; readonly what: string } = {
  schema: z.strictObject({
    gate: z.enum(studyGates),
    history: z.enum(historyKinds),
    rounds: z.number(),
    momentWeight: z.number(),
    reliability: metric,
    generality: metric,
    portability: metric,
    locality: metric,
    sameSubjectLocality: metric,
    efficacySuccess: metric,
    paraphraseSuccess: metric,
    neighborhoodSuccess: metric,
    score: metric,
    perplexityRatio: metric,
    klToBase: metric,
    firstRound: part,
    lastRound: part,
    relativeChange: z.number(),
    writtenShare: metric,
    seconds: z.number(),
  }),
  what: 'a cell of a study',
};
