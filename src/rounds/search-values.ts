/** @file The values of a round's edits: each is searched once, and stored under a key of everything that it depends on. */
import { type Edit, type EditState, tokenizeEdit } from '../editing/index.js';
import { TransientError } from '../errors.js';
import type { Listener } from '../progress.js';
import type { ObjectStore } from '../registry/index.js';
import { readValue, type StoredValue, storeValue } from './stored-value.js';
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
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts));
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

/** The edits whose values are not stored yet. @param keys the content key of each edit's value */
export async function missingValues(
  { store, modelId, dModel }: ValuePlace,
  edits: readonly Edit[],
  keys: readonly string[],
): Promise<MissingValue[]> {
  const missing: MissingValue[] = [];
  for (const [e, edit] of edits.entries()) {
    const stored = await readValue({ store, modelId }, keys[e], dModel);
    if (stored === undefined) missing.push({ edit, contentKey: keys[e] });
  }
  return missing;
}

/** Searches missing values, and stores each micro-batch as soon as it is done. */
export async function storeMissingValues(
  bench: Workbench,
  { missing, ...search }: Omit<SearchRequest, 'edits'> & { readonly missing: readonly MissingValue[] },
  listener: SearchListener = {},
): Promise<void> {
  const total = missing.length;
  const edits = missing.map(({ edit }) => edit);
  let stored = 0;
  for await (const batch of searchValues(bench, { ...search, edits }, listener)) {
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
