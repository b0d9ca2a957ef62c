/** @file The values of a round's edits: each is searched once, and stored under a key of everything that it depends on. */
import { type Edit, type EditState, tokenizeEdit } from '../editing/index.js';
import { TransientError } from '../errors.js';
import type { Listener } from '../progress.js';
import type { Manifest, ObjectStore } from '../registry/index.js';
import { fitEdits } from './fit-edits.js';
import type { RoundPlan } from './records.js';
import { readValue, type StoredValue, storeValue } from './stored-value.js';
import { valueKeysOf } from './value-key.js';
import type { Workbench } from './workbench.js';

/** Where the values of a model are stored, and how long each is. */
export interface ValuePlace {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly dModel: number;
}

/** An edit whose value is not stored yet, with the value's content key. */
export interface MissingValue {
  readonly edit: Edit;
  readonly contentKey: string;
}

/** A value, and the index of its edit in the search. */
export interface FoundValue {
  readonly index: number;
  readonly value: StoredValue;
}

/** What values are searched for, and on which state. */
export interface SearchRequest {
  /** The state whose hooks are active during the search. */
  readonly before: EditState;
  readonly edits: readonly Edit[];
  readonly contexts: readonly string[];
}

/** A listener that can also stop the search. */
export interface SearchListener extends Listener {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Searches the values of edits, and yields them micro-batch by micro-batch. So what was found can be stored before the
 * search is stopped.
 *
 * @throws the signal's reason, between two micro-batches, once it is aborted
 */
export async function* searchValues(
  bench: Workbench,
  { before, edits, contexts }: SearchRequest,
  { onProgress, signal }: SearchListener = {},
): AsyncGenerator<readonly FoundValue[]> {
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts, bench.model.config));
  const total = edits.length;
  const search = await bench.values();
  signal?.throwIfAborted();
  let startedAt = performance.now();
  const batches = search.searchBatches(tokenized, bench.hooks(before), {
    memoryBudgetBytes: bench.memoryBudgetBytes,
    onStep: ({ finishedEdits: done, activeEdits }) =>
      onProgress?.({ stage: 'values', done, total, unit: 'edits', detail: `${activeEdits} in work` }),
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

/** Some edits of a planned round. */
export interface PlannedEdits {
  readonly plan: RoundPlan;
  readonly edits: readonly Edit[];
  /** The version that the round stands on; undefined before the first. */
  readonly base: BaseVersion | undefined;
}

/** A version that a round stands on. */
export interface BaseVersion {
  readonly state: EditState;
  readonly manifest: Manifest;
}

/** The edits whose values are not stored yet. @param contexts those that the values depend on */
export async function missingValues(
  { store, modelId, dModel }: ValuePlace,
  { plan, edits, base }: PlannedEdits,
  contexts: readonly string[],
): Promise<MissingValue[]> {
  const missing: MissingValue[] = [];
  const keys = valueKeysOf(plan, base?.manifest, contexts, edits);
  for (const [e, edit] of edits.entries()) {
    const stored = await readValue({ store, modelId }, keys[e], dModel);
    if (stored === undefined) missing.push({ edit, contentKey: keys[e] });
  }
  return missing;
}

/**
 * Searches the values that are not stored yet, and stores each micro-batch as soon as it is done. No value is searched for
 * edits that the model cannot take: `solveRound` refuses them.
 */
export async function searchMissingValues(
  bench: Workbench,
  planned: PlannedEdits,
  listener: SearchListener = {},
): Promise<void> {
  const contexts = await bench.contexts();
  const { fit: edits } = fitEdits(bench, planned.edits, contexts);
  const place = { store: bench.store, modelId: bench.modelId, dModel: bench.model.config.dModel };
  const missing = await missingValues(place, { ...planned, edits }, contexts);
  const total = missing.length;
  if (total === 0) return;
  const search = { before: planned.base?.state ?? bench.emptyState, edits: missing.map(({ edit }) => edit), contexts };
  let stored = 0;
  for await (const batch of searchValues(bench, search, listener)) {
    for (const { index, value } of batch) await storeValue(bench, missing[index].contentKey, value);
    stored += batch.length;
    listener.onProgress?.({ stage: 'values', done: stored, total, unit: 'edits', detail: 'stored' });
  }
}

/** The stored values of edits. @throws {TransientError} if one is not stored */
export async function storedValues(
  { store, modelId, dModel }: ValuePlace,
  edits: readonly Edit[],
  keys: readonly string[],
): Promise<StoredValue[]> {
  const values: StoredValue[] = [];
  for (const [e, key] of keys.entries()) {
    const value = await readValue({ store, modelId }, key, dModel);
    if (value === undefined) throw new TransientError(`value of edit ${edits[e].id}: a stored one, got none`);
    values.push(value);
  }
  return values;
}
