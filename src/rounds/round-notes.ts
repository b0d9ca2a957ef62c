/** @file What a user is told of a round beside its measures. */
import type { RejectedEdits, RoundMeasures, SolveRecord } from './records.js';
import { type Fact, rivalText } from './rivals.js';

/** What of a round the notes are about. */
export interface NotedRound {
  /** Edits of the plan that are not written. */
  readonly rejectedEdits?: RejectedEdits | undefined;
  readonly measurements: RoundMeasures['measurements'];
  readonly rivals?: SolveRecord['rivals'] | undefined;
  /** The round's edits, and the active ones of its base. */
  readonly facts?: readonly Fact[];
}

/** Most pairs of rivals that are named. */
const namedRivals = 10;

/** Sentences, without full stops: which edits were rejected, measured in part, or are in each other's way. */
export function roundNotes({ rejectedEdits = [], measurements, rivals = [], facts = [] }: NotedRound): string[] {
  const more = rivals.length - namedRivals;
  return [
    ...rejectedEdits.map(({ id, reason }) => `Edit ${id} was rejected: ${reason}`),
    ...measurements.flatMap(({ id, leftOut }) =>
      leftOut ? [`Edit ${id} was measured without what the model does not take: ${leftOut.join('; ')}`] : [],
    ),
    ...rivals.slice(0, namedRivals).map((rival) => rivalText(rival, facts)),
    ...(more > 0 ? [`So do ${more} more pairs of edits`] : []),
  ];
}
