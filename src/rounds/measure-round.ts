/** @file Measures what a solve did to a round's edits, and to everything that should not have changed. */
import type { Edit, EditState } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { type Drift, decodeEdits, type EditMeasurement, mean, measureReliability } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { compareGates, gateSeparation } from './compare-gates.js';
import { evaluateVersion } from './evaluate-version.js';
import { evenly } from './evenly.js';
import { type EarlierFact, type RoundMeasures, type ValidationRecord, validationRecordSchema } from './records.js';
import type { EarlierEdit } from './round-edits.js';
import { firedBy } from './subjects.js';
import type { Workbench } from './workbench.js';

/** What is measured once per round. Where several tasks share a round, the one with its first edits does it. */
export interface WholeRound {
  /** Token sequences of ordinary text, for drift. */
  readonly heldOut: readonly (readonly number[])[];
  /** Edits of earlier rounds that this one does not touch. */
  readonly earlier: readonly EarlierEdit[];
  /** Facts of earlier rounds that this round's memories say too. */
  readonly companions: readonly EarlierFact[];
  /** Edits on which the other kinds of gate are measured too; none to leave the comparison out. */
  readonly comparedEdits: readonly Edit[];
}

/** At most so many earlier edits are measured per round, spread evenly over all of them. */
const retentionSample = 100;

/** What of a round is measured. */
export interface MeasuredPart {
  /** The state that the solve left. */
  readonly state: EditState;
  /** The memories of the state, and the edits that each says. */
  readonly memories: ReadonlyMap<string, readonly string[]>;
  readonly edits: readonly Edit[];
  /** Undefined where another task measures what is measured once per round. */
  readonly whole: WholeRound | undefined;
}

const nothingWhole: WholeRound = { heldOut: [], earlier: [], companions: [], comparedEdits: [] };

/** Measures some of a round's edits by all protocols. */
export async function measureRound(
  bench: Workbench,
  { state, memories, edits, whole = nothingWhole }: MeasuredPart,
  listener: Listener = {},
): Promise<ValidationRecord> {
  const { heldOut, earlier, companions, comparedEdits } = whole;
  const compared = { state, edits: comparedEdits, heldOut };
  const gates = comparedEdits.length > 0 ? await compareGates(bench, compared, listener) : [];
  const { tokenizer } = bench;
  const edited = await bench.edited();
  const hooks = bench.hooks(state);
  const measured = await evaluateVersion({ edited, tokenizer, hooks }, edits, heldOut, listener);
  const { measurements, answers, baseAnswers, drift, textStrengths } = measured;
  // Retention is measured on an edit's own prompt alone.
  const again = companions.map(({ edit }) => edit);
  const sample = [...again, ...evenly(earlier, retentionSample)];
  const retained = await measureReliability(edited, tokenizer, sample, hooks, (done, total) =>
    listener.onProgress?.({ stage: 'validate', done, total, unit: 'prompts', detail: 'earlier edits' }),
  );
  // A fact that shares a value with new ones must still be said.
  const stillSaid = await decodeEdits(edited, tokenizer, again, hooks);
  return validationRecordSchema.parse({
    schemaVersion: 1,
    measurements: measurements.map(storable),
    firedBy: measurements.map((measured) => firedBy(measured, state.rowIds, memories)),
    before: baseAnswers,
    answers,
    drift: drift && inNumbers(drift),
    retention: mean(retained),
    companions: companions.map(({ version, edit }, c) => ({
      version,
      id: edit.id,
      reliability: retained[c],
      answer: stillSaid[c],
    })),
    separation: gateSeparation(bench.settings, measurements, textStrengths),
    gates,
  });
}

/** JSON holds no NaN and no infinity. Drift that is no number is as large as a number can be: no criterion lets it pass. */
function inNumbers(drift: Drift): Drift {
  const entries = Object.entries(drift).map(([name, value]) => [
    name,
    Number.isFinite(value) ? value : Number.MAX_VALUE,
  ]);
  return Object.fromEntries(entries) as Drift;
}

/**
 * A model without gates reports a firing of strength NaN, which JSON cannot hold: it is left out. Signals are stored for all
 * edits together, as the separation.
 */
function storable({ firing, signals: _, ...measured }: EditMeasurement): EditMeasurement {
  return { ...measured, ...(firing && Number.isFinite(firing.strength) && { firing }) };
}

/**
 * Puts the records of a round together.
 *
 * @param records one for each task that measured some of its edits, the one with the first edits first
 * @param editIds ids of the edits that were solved, in their order
 * @param what    name of the solve, for messages
 * @throws {MalformedFileError} if an edit of the solve was not measured
 */
export function roundMeasures(
  records: readonly ValidationRecord[],
  editIds: readonly string[],
  what: string,
): RoundMeasures {
  const measured = records.flatMap((record) =>
    record.measurements.map((measurement, e) => ({
      measurement,
      firedBy: record.firedBy[e],
      before: record.before[e],
      answer: record.answers[e],
    })),
  );
  const byId = new Map(measured.map((one) => [one.measurement.id, one]));
  const all = editIds.map((id) => {
    const found = byId.get(id);
    if (found === undefined) throw new MalformedFileError(what, 'edits that were measured', `${id}, which was not`);
    return found;
  });
  const [{ drift, retention, companions, gates }] = records;
  return {
    measurements: all.map(({ measurement }) => measurement),
    firedBy: all.map(({ firedBy }) => firedBy),
    before: all.map(({ before }) => before),
    answers: all.map(({ answer }) => answer),
    drift,
    retention,
    companions,
    separation: separationOf(records),
    gates,
  };
}

function separationOf(records: readonly ValidationRecord[]): RoundMeasures['separation'] {
  const all = records.flatMap(({ separation }) => separation ?? []);
  if (all.length === 0) return null;
  return {
    edit: all.flatMap(({ edit }) => edit),
    paraphrase: all.flatMap(({ paraphrase }) => paraphrase),
    neighborhood: all.flatMap(({ neighborhood }) => neighborhood),
    text: all.flatMap(({ text }) => text),
    threshold: all[0].threshold,
  };
}
