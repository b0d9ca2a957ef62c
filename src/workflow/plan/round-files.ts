import { type ObjectStore, readStored, roundKey } from '../../registry/index.js';
import {
  type RejectedEdits,
  type RoundPlan,
  rejectedEditsSchema,
  roundPlanSchema,
  type SolveRecord,
  solveRecordSchema,
} from '../../rounds/index.js';
import type { Registration } from '../registration.js';

/** @throws {MalformedFileError} if the object is no plan of this schema version @throws {NoSuchKeyError} */
export const readPlan = (store: ObjectStore, planKey: string): Promise<RoundPlan> =>
  readStored(store, planKey, { schema: roundPlanSchema, what: 'a plan of a round' });

/** Edits that must not be written by this solve. */
export async function readRejectedEdits(store: ObjectStore, planKey: string, attempt: number): Promise<RejectedEdits> {
  if (attempt === 0) return [];
  const form = { schema: rejectedEditsSchema, what: 'excluded edits' };
  return readStored(store, attemptKey(planKey, attempt, 'excluded.json'), form);
}

/** What the solve of this attempt told. */
export const readSolveRecord = (store: ObjectStore, planKey: string, attempt: number): Promise<SolveRecord> =>
  readStored(store, attemptKey(planKey, attempt, 'solve.json'), {
    schema: solveRecordSchema,
    what: 'the record of a solve',
  });

/** Key of a file of one solve, beside the plan. */
export function attemptKey(planKey: string, attempt: number, name: string): string {
  return `${planKey.slice(0, planKey.lastIndexOf('/'))}/attempt-${attempt}/${name}`;
}

/** Key of a round's plan. */
export function planKeyOf(modelId: string, roundId: string, planId: string): string {
  return roundKey(modelId, roundId, planId, 'plan.json');
}

/** A round as a task sees it. */
export interface PlannedRound {
  readonly plan: RoundPlan;
  readonly registration: Registration;
}
