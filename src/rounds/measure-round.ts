/** @file Measures what a solve did to a round's edits, and to what should have stayed, always against the base model. */
import type { Edit, EditState } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { decodeEdits, type EditMeasurement, mean, measureEdits } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import { compareGates, gateSeparation } from './compare-gates.js';
import { measureHooks } from './evaluate-version.js';
import { evenly } from './evenly.js';
import { type RoundMeasures, type ValidationRecord, validationRecordSchema } from './records.js';
import type { EarlierEdit } from './round-edits.js';
import type { Workbench } from './workbench.js';

/** What is measured once per round, by whoever measures its first edits. */
export interface WholeRound {
  /** Token sequences of ordinary text, for drift. */
  readonly heldOut: readonly (readonly number[])[];
  /** Edits of earlier rounds that are still in force. */
  readonly earlier: readonly EarlierEdit[];
  /** Edits on which the other gates are measured too; none for no comparison. */
  readonly comparedEdits: readonly Edit[];
}

/** Earlier edits looked at per round, spread evenly over all of them. */
const retentionSample = 100;

/**
 * Measures some of a round's edits by all protocols.
 *
 * @param whole undefined where somebody else measures what is measured once
 */
export async function measureRound(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  whole: WholeRound | undefined,
  listener: Listener = {},
): Promise<ValidationRecord> {
  const { heldOut, earlier, comparedEdits }: WholeRound = whole ?? { heldOut: [], earlier: [], comparedEdits: [] };
  const gates = comparedEdits.length > 0 ? await compareGates(bench, state, comparedEdits, heldOut, listener) : [];
  const { tokenizer } = bench;
  const edited = await bench.edited();
  const hooks = bench.hooks(state);
  const measured = await measureHooks({ edited, tokenizer, hooks }, edits, heldOut, listener);
  const before = await decodeEdits(edited, tokenizer, edits);
  const sampled = evenly(earlier, retentionSample).map(toMeasure);
  const retained = await measureEdits(edited, tokenizer, sampled, hooks, (done, total) =>
    listener.onProgress?.({ stage: 'validate', done, total, unit: 'prompts', detail: 'earlier edits' }),
  );
  const { measurements, answers, drift, textStrengths } = measured;
  return validationRecordSchema.parse({
    schemaVersion: 1,
    measurements: measurements.map(withoutNaN),
    firedBy: measurements.map(({ firing }) => (firing && state.editIds[firing.editIndex]) ?? null),
    before,
    answers,
    drift,
    retention: mean(retained.map(({ reliability }) => reliability)),
    separation: (await gateSeparation(bench, state, edits, textStrengths)) ?? null,
    gates,
  });
}

/** An earlier edit as it is measured for retention: on its own prompt alone. */
const toMeasure = ({ id, subject, prompt, targetNew }: EarlierEdit): Edit => ({
  id,
  subject,
  prompt,
  targetNew,
  paraphrases: [],
  neighborhood: [],
  keep: [],
});

/** Without a gate a firing has no strength, and JSON has no NaN to say so. */
function withoutNaN({ firing, ...measured }: EditMeasurement): EditMeasurement {
  return { ...measured, ...(firing && Number.isFinite(firing.strength) && { firing }) };
}

/**
 * The records of all who measured a round, put together.
 *
 * @param editIds in the order of the solve
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
  const [{ drift, retention, gates }] = records;
  return {
    measurements: all.map(({ measurement }) => measurement),
    firedBy: all.map(({ firedBy }) => firedBy),
    before: all.map(({ before }) => before),
    answers: all.map(({ answer }) => answer),
    drift,
    retention,
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
