/** @file What the container tasks of one attempt told, put together. */
import { MalformedFileError } from '../../errors.js';
import type { ObjectStore } from '../../registry/index.js';
import { readStored } from '../../registry/index.js';
import type { RoundMeasures } from '../../rounds/index.js';
import { type RoundPlan, type SolveRecord, type ValidationRecord, validationRecordSchema } from '../../rounds/index.js';
import { attemptKey, readSolveRecord } from './round-files.js';

/** One solve with its measures, in the order of its segment. */
export interface AttemptRecords {
  readonly solved: SolveRecord;
  readonly measures: RoundMeasures;
}

/**
 * Reads the records of an attempt.
 *
 * @throws {NoSuchKeyError} if one is missing @throws {MalformedFileError} if an edit of the solve was not measured
 */
export async function readAttempt(
  store: ObjectStore,
  planKey: string,
  attempt: number,
  { validationShards }: RoundPlan,
): Promise<AttemptRecords> {
  const form = { what: 'the record of a validation', schema: validationRecordSchema };
  const solved = await readSolveRecord(store, planKey, attempt);
  const shards: ValidationRecord[] = [];
  for (const shard of validationShards.keys()) {
    shards.push(await readStored(store, attemptKey(planKey, attempt, `validation-${shard}.json`), form));
  }
  return { solved, measures: together(shards, solved.editIds, attemptKey(planKey, attempt, 'solve.json')) };
}

function together(shards: readonly ValidationRecord[], editIds: readonly string[], what: string): RoundMeasures {
  const measured = shards.flatMap((shard) =>
    shard.measurements.map((measurement, e) => ({
      measurement,
      firedBy: shard.firedBy[e],
      before: shard.before[e],
      answer: shard.answers[e],
    })),
  );
  const byId = new Map(measured.map((one) => [one.measurement.id, one]));
  const all = editIds.map((id) => {
    const found = byId.get(id);
    if (found === undefined) throw new MalformedFileError(what, 'edits that were measured', `${id}, which was not`);
    return found;
  });
  return {
    measurements: all.map(({ measurement }) => measurement),
    firedBy: all.map(({ firedBy }) => firedBy),
    before: all.map(({ before }) => before),
    answers: all.map(({ answer }) => answer),
    drift: shards[0].drift,
    retention: shards[0].retention,
    separation: separationOf(shards),
    gates: shards[0].gates,
  };
}

function separationOf(shards: readonly ValidationRecord[]): RoundMeasures['separation'] {
  const all = shards.flatMap(({ separation }) => separation ?? []);
  if (all.length === 0) return null;
  return {
    edit: all.flatMap(({ edit }) => edit),
    paraphrase: all.flatMap(({ paraphrase }) => paraphrase),
    neighborhood: all.flatMap(({ neighborhood }) => neighborhood),
    text: all.flatMap(({ text }) => text),
    threshold: all[0].threshold,
  };
}
