/** @file The files of a round: its plan, and what the tasks of each attempt stored. */
import { type ObjectStore, readStored, roundKey } from '../../registry/index.js';
import {
  type Judgement,
  judgementSchema,
  type RejectedEdits,
  type RoundMeasures,
  type RoundPlan,
  rejectedEditsSchema,
  roundMeasures,
  roundPlanSchema,
  type SolveRecord,
  solveRecordSchema,
  type ValidationRecord,
  validationRecordSchema,
} from '../../rounds/index.js';
import type { Registration } from '../registration.js';

export const planForm = { what: 'a plan of a round', schema: roundPlanSchema };
export const rejectedEditsForm = { what: 'the rejected edits', schema: rejectedEditsSchema };
export const solveForm = { what: 'the record of a solve', schema: solveRecordSchema };
export const validationForm = { what: 'the record of a validation', schema: validationRecordSchema };

export const decisionForm = { what: 'a judgement', schema: judgementSchema };

/** Key of a round's plan. */
export const planKeyOf = (modelId: string, roundId: string, planId: string): string =>
  roundKey(modelId, roundId, planId, 'plan.json');

/** Key of a file of one attempt, beside the plan. */
export const attemptKey = (planKey: string, attempt: number, name: string): string =>
  `${planKey.slice(0, planKey.lastIndexOf('/'))}/attempt-${attempt}/${name}`;

/** @throws {MalformedFileError} if the object is no plan of this schema version @throws {NoSuchKeyError} */
export const readPlan = (store: ObjectStore, planKey: string): Promise<RoundPlan> =>
  readStored(store, planKey, planForm);

/** The edits that this attempt's solve must not write: those that the plan refuses, or that failed before. */
export async function readRejectedEdits(store: ObjectStore, planKey: string, attempt: number): Promise<RejectedEdits> {
  if (attempt === 0) return (await readPlan(store, planKey)).refused ?? [];
  return readStored(store, attemptKey(planKey, attempt, 'excluded.json'), rejectedEditsForm);
}

/** All edits of the plan that an attempt's solve did not write: also those that it could not. */
export async function readUnwrittenEdits(store: ObjectStore, planKey: string, attempt: number): Promise<RejectedEdits> {
  const { refused = [] } = await readSolveRecord(store, planKey, attempt);
  return [...(await readRejectedEdits(store, planKey, attempt)), ...refused];
}

/** How many edits of a plan can be written, as far as the solves up to this attempt tell. */
export async function countWritable(store: ObjectStore, planKey: string, attempt: number): Promise<number> {
  const { edits, refused = [] } = await readPlan(store, planKey);
  let writable = edits.length - refused.length;
  for (let solve = 0; solve <= attempt; solve++) {
    writable -= (await readSolveRecord(store, planKey, solve)).refused?.length ?? 0;
  }
  return writable;
}

/** The record of an attempt's solve. */
export const readSolveRecord = (store: ObjectStore, planKey: string, attempt: number): Promise<SolveRecord> =>
  readStored(store, attemptKey(planKey, attempt, 'solve.json'), solveForm);

export const decisionKey = (planKey: string, attempt: number): string => attemptKey(planKey, attempt, 'decision.json');

/** What the criteria decided of an attempt. */
export const readJudgement = (store: ObjectStore, planKey: string, attempt: number): Promise<Judgement> =>
  readStored(store, decisionKey(planKey, attempt), decisionForm);

/** The solve of an attempt, and what all tasks together measured of it. */
export interface AttemptRecords {
  readonly solved: SolveRecord;
  /** In the order of the solve's edits. */
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
  const solved = await readSolveRecord(store, planKey, attempt);
  const records: ValidationRecord[] = [];
  for (const shard of validationShards.keys()) {
    records.push(await readStored(store, attemptKey(planKey, attempt, `validation-${shard}.json`), validationForm));
  }
  return { solved, measures: roundMeasures(records, solved.editIds, attemptKey(planKey, attempt, 'solve.json')) };
}

/** A plan, and the registration of its model. */
export interface PlannedRound {
  readonly plan: RoundPlan;
  readonly registration: Registration;
}
