import type { EditSummary } from '../summary.js';
import type { ReportData } from './report-data.js';

/** The end state after all rounds of one way to write the same edits. Metrics are null where there was nothing to measure. */
export interface StudyCell extends Omit<EditSummary, 'measured'> {
  readonly gate: string;
  /** Whether a round's solve knows the keys of the rounds before it. */
  readonly history: 'kept' | 'forgotten';
  readonly rounds: number;
  /** lambda / dInner; 0 is the limit with equality constraints. */
  readonly momentWeight: number;
  readonly perplexityRatio: number | null;
  /** Nats per token of held-out text. */
  readonly klToBase: number | null;
  /** The edits of the first round, after the last. */
  readonly firstRound: StudyPart;
  readonly lastRound: StudyPart;
  /** `|dW| / |W|`. */
  readonly relativeChange: number;
  /** Median share of a row's residual that its own round wrote. */
  readonly writtenShare: number | null;
  readonly seconds: number;
}

/** What is told of one round's edits. */
export type StudyPart = Pick<EditSummary, 'reliability' | 'generality'>;

/** Everything a study's report shows. */
export interface StudyData extends Pick<ReportData, 'title' | 'model' | 'createdAt' | 'hyperparameters' | 'notes'> {
  readonly edits: number;
  /** How many of the edits were measured. */
  readonly measured: number;
  readonly cells: readonly StudyCell[];
}

/** How many rounds of how many edits: `16 x 16`, or `3 x 6` where the last ones may have fewer. */
export const splitText = (rounds: number, edits: number): string => `${rounds} x ${Math.ceil(edits / rounds)}`;

/** A moment weight as tables name it. */
export const weightText = (momentWeight: number): string => (momentWeight === 0 ? '0 (EMMET)' : String(momentWeight));
