/** @file The records that container tasks of a round read and write. */
import { InvalidInputError } from '../errors.js';
import { modelCardKey, type ObjectStore } from '../registry/index.js';
import { type ModelCard, modelCardSchema } from './model-card.js';
import {
  attemptKey,
  type Exclusions,
  exclusionsSchema,
  type RoundPlan,
  roundPlanSchema,
  type SolveRecord,
  solveRecordSchema,
} from './round-plan.js';
import { findStored, readStored } from './stored-json.js';

/** @throws {MalformedFileError} if the object is no plan of this schema version @throws {NoSuchKeyError} */
export const readPlan = (store: ObjectStore, planKey: string): Promise<RoundPlan> =>
  readStored(store, planKey, { schema: roundPlanSchema, what: 'a plan of a round' });

/** @throws {InvalidInputError} if the model is not registered @throws {MalformedFileError} */
export async function readModelCard(store: ObjectStore, modelId: string): Promise<ModelCard> {
  const card = await findStored(store, modelCardKey(modelId), { schema: modelCardSchema, what: 'a model card' });
  if (card === undefined) throw new InvalidInputError(`model ${modelId}`, 'a registered model', 'none of this name');
  return card;
}

/** Edits that must not be written by this solve. */
export async function readExclusions(store: ObjectStore, planKey: string, attempt: number): Promise<Exclusions> {
  if (attempt === 0) return [];
  const form = { schema: exclusionsSchema, what: 'excluded edits' };
  return readStored(store, attemptKey(planKey, attempt, 'excluded.json'), form);
}

/** What the solve of this attempt told. */
export const readSolveRecord = (store: ObjectStore, planKey: string, attempt: number): Promise<SolveRecord> =>
  readStored(store, attemptKey(planKey, attempt, 'solve.json'), {
    schema: solveRecordSchema,
    what: 'the record of a solve',
  });
