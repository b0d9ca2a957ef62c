/** @file Of which records the situations of use are made, and how many. */
import { InvalidInputError } from '../../../src/errors.js';

/** How many records, subjects or questions each situation takes. */
export interface RecordCounts {
  /** CounterFact edits of one batch: paraphrases, chat, other questions, ends of answers, bystanders. */
  readonly counterfact: number;
  /** zsRE edits of one batch. */
  readonly zsre: number;
  /** QAEdit edits of one batch. */
  readonly qaedit: number;
  /** Subjects of the bundled world that get several facts. */
  readonly worldSubjects: number;
  /** Real subjects that get four facts each. */
  readonly realSubjects: number;
  /** Subjects that are asked about in several forms. */
  readonly forms: number;
  /** Chat questions in which no edited subject stands. */
  readonly bystanders: number;
  /** Consecutive rounds. */
  readonly rounds: number;
  /** CounterFact edits of each of them. */
  readonly perRound: number;
  /** Facts whose search is timed; a multiple of four. */
  readonly timed: number;
}

/** Counts of a full run. */
export const fullCounts: RecordCounts = {
  counterfact: 60,
  zsre: 60,
  qaedit: 40,
  worldSubjects: 10,
  realSubjects: 12,
  forms: 15,
  bystanders: 200,
  rounds: 10,
  perRound: 30,
  timed: 16,
};

/** Counts for a look in passing. */
export const quickCounts: RecordCounts = {
  counterfact: 6,
  zsre: 6,
  qaedit: 4,
  worldSubjects: 3,
  realSubjects: 2,
  forms: 3,
  bystanders: 10,
  rounds: 3,
  perRound: 4,
  timed: 4,
};

/** First record of each data set that is reported on: those before it may be used to choose settings. */
export const firstRecord = { counterfact: 600, zsre: 150, qaedit: 0 } as const;

/**
 * Counts with some replaced, as in `counterfact=20`.
 *
 * @throws {InvalidInputError} for a name that is no count, or a value that is no whole number from 1
 */
export function withCounts(counts: RecordCounts, given: Readonly<Record<string, unknown>>): RecordCounts {
  for (const [name, value] of Object.entries(given)) {
    if (!(name in counts)) throw new InvalidInputError('--records', `one of ${Object.keys(counts).join(', ')}`, name);
    if (!Number.isInteger(value) || Number(value) < 1) {
      throw new InvalidInputError(`--records ${name}`, 'a whole number from 1', String(value));
    }
  }
  return { ...counts, ...given };
}

/** A range of records in words, such as `CounterFact 600-659`. */
export function rangeOf(name: string, first: number, count: number): string {
  return `${name} ${first}-${first + count - 1}`;
}
