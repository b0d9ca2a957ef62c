/** @file The values of a round's subjects: each is searched once, and stored under a key of everything that it depends on. */
import type { Context, Edit, EditState } from '../editing/index.js';
import { TransientError } from '../errors.js';
import { beginsInWord } from '../evaluation/index.js';
import type { Listener } from '../progress.js';
import type { Manifest, ObjectStore } from '../registry/index.js';
import { fitEdits } from './fit-edits.js';
import type { RoundPlan } from './records.js';
import { readValue, type StoredValue, storeValue } from './stored-value.js';
import { type Subject, subjectsOf } from './subjects.js';
import { taughtSubjects } from './taught-subjects.js';
import { valueKeysOf } from './value-key.js';
import type { Workbench } from './workbench.js';

/** Where the values of a model are stored, and how long each is. */
export interface ValuePlace {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly dModel: number;
}

/** A subject whose value is not stored yet, with the value's content key. */
export interface MissingValue {
  readonly subject: Subject;
  readonly contentKey: string;
}

/** A value, and the index of its subject in the search. */
export interface FoundValue {
  readonly index: number;
  readonly value: StoredValue;
}

/** A listener that can also stop the search. */
export interface SearchListener extends Listener {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Searches the values of subjects, and yields them micro-batch by micro-batch. So what was found can be stored before the
 * search is stopped.
 *
 * @throws the signal's reason, between two micro-batches, once it is aborted
 */
export async function* searchValues(
  bench: Workbench,
  subjects: readonly Subject[],
  contexts: readonly Context[],
  { onProgress, signal }: SearchListener = {},
): AsyncGenerator<readonly FoundValue[]> {
  const total = subjects.length;
  const report = (done: number, detail: string) =>
    onProgress?.({ stage: 'values', done, total, unit: 'subjects', detail });
  report(0, 'what the base model says of them');
  let startedAt = performance.now();
  const taught = await taughtSubjects(bench, subjects, contexts);
  const search = await bench.values();
  signal?.throwIfAborted();
  const batches = search.searchBatches(taught, {
    memoryBudgetBytes: bench.memoryBudgetBytes,
    wordParts: wordPartsOf(bench),
    onStep: ({ finished, active }) => report(finished, `${active} in work`),
  });
  let found = 0;
  for await (const batch of batches) {
    const seconds = (performance.now() - startedAt) / 1000 / batch.length;
    yield batch.map(({ index, target }) => ({ index, value: { ...target, seconds } }));
    found += batch.length;
    if (found < total) signal?.throwIfAborted();
    startedAt = performance.now();
  }
}

/** Marks the tokens of a vocabulary whose text goes on with a word: uint8 [vocab]. */
export function wordPartsOf({ tokenizer, model }: Pick<Workbench, 'tokenizer' | 'model'>): Uint8Array {
  return Uint8Array.from({ length: model.config.vocab }, (_, id) => (beginsInWord(tokenizer.tokenText(id)) ? 1 : 0));
}

/** Some edits of a planned round, among them all of each subject. */
export interface PlannedEdits {
  readonly plan: RoundPlan;
  readonly edits: readonly Edit[];
}

/** A version that a round stands on. */
export interface BaseVersion {
  readonly state: EditState;
  readonly manifest: Manifest;
}

/** The subjects whose values are not stored yet. @param contexts those that the values depend on */
export async function missingValues(
  { store, modelId, dModel }: ValuePlace,
  plan: Pick<RoundPlan, 'modelDigest' | 'settings'>,
  subjects: readonly Subject[],
  contexts: readonly Context[],
): Promise<MissingValue[]> {
  const missing: MissingValue[] = [];
  const keys = valueKeysOf(plan, contexts, subjects);
  for (const [s, subject] of subjects.entries()) {
    const stored = await readValue({ store, modelId }, keys[s], dModel);
    if (stored === undefined) missing.push({ subject, contentKey: keys[s] });
  }
  return missing;
}

/**
 * Searches the values that are not stored yet, and stores each micro-batch as soon as it is done. No value is searched for
 * edits that the model cannot take: `solveRound` refuses them.
 */
export async function searchMissingValues(
  bench: Workbench,
  { plan, edits }: PlannedEdits,
  listener: SearchListener = {},
): Promise<void> {
  const { fit } = fitEdits(bench, edits);
  await searchMissing(bench, subjectsOf(plan, fit), await bench.contexts(), listener);
}

/** The values of subjects: the stored ones, and new ones where none are stored. */
export async function valuesOf(
  bench: Workbench,
  subjects: readonly Subject[],
  contexts: readonly Context[],
  listener: SearchListener = {},
): Promise<StoredValue[]> {
  await searchMissing(bench, subjects, contexts, listener);
  return storedValues(placeOf(bench), subjects, valueKeysOf(bench, contexts, subjects));
}

const placeOf = ({ store, modelId, model }: Workbench): ValuePlace => ({ store, modelId, dModel: model.config.dModel });

async function searchMissing(
  bench: Workbench,
  all: readonly Subject[],
  contexts: readonly Context[],
  listener: SearchListener,
): Promise<void> {
  const missing = await missingValues(placeOf(bench), bench, all, contexts);
  const total = missing.length;
  if (total === 0) return;
  const subjects = missing.map(({ subject }) => subject);
  let stored = 0;
  for await (const batch of searchValues(bench, subjects, contexts, listener)) {
    for (const { index, value } of batch) await storeValue(bench, missing[index].contentKey, value);
    stored += batch.length;
    listener.onProgress?.({ stage: 'values', done: stored, total, unit: 'subjects', detail: 'stored' });
  }
}

/** The stored values of subjects. @throws {TransientError} if one is not stored */
export async function storedValues(
  { store, modelId, dModel }: ValuePlace,
  subjects: readonly Subject[],
  keys: readonly string[],
): Promise<StoredValue[]> {
  const values: StoredValue[] = [];
  for (const [s, key] of keys.entries()) {
    const value = await readValue({ store, modelId }, key, dModel);
    if (value === undefined) throw new TransientError(`value of ${subjects[s].names[0]}: a stored one, got none`);
    values.push(value);
  }
  return values;
}
