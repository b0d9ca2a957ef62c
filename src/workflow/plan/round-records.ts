/** @file What the container tasks of one attempt told, put together. */

import type { ObjectStore } from '../../registry/index.js';
import { readStored } from '../../registry/index.js';
import type { RoundMeasures } from '../../rounds/index.js';
import {
  type RoundPlan,
  roundMeasures,
  type SolveRecord,
  type ValidationRecord,
  validationRecordSchema,
} from '../../rounds/index.js';
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
  return { solved, measures: roundMeasures(shards, solved.editIds, attemptKey(planKey, attempt, 'solve.json')) };
}
