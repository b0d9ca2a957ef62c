/** @file Versions whose gates open on real prompts of a real model, without a value search. */
import {
  emptyState,
  type Hyperparameters,
  hooksOf,
  KeyCollection,
  markSubject,
  resolveHyperparameters,
  tokenizeMarked,
} from '../../src/editing/index.js';
import { type Matrix, matrix } from '../../src/linalg/index.js';
import { type Model, modelDigest, type Tokenizer } from '../../src/model/index.js';
import type { ObjectStore } from '../../src/registry/index.js';
import { type PublishedState, publishRounds, type RandomRound } from './published-version.js';
import { selectColumns } from './select-columns.js';

/** The prompt on whose subject an edit of {@link publishFiring} fires; `{}` is the subject, which is its memory's id. */
export const firingPrompt = 'The mayor of {}';

/** Which rows, on which layers, behind how high a gate. */
export interface FiringVersions {
  readonly rounds: readonly RandomRound[];
  readonly layers?: readonly number[];
  /** Whitened cosine, the metric being plain here; above 1 no gate ever opens. */
  readonly similarityThreshold?: number;
}

/**
 * Publishes versions of edits with the model's own keys of {@link firingPrompt} and random targets, strong enough to change
 * what the model says.
 */
export async function publishFiring(
  store: ObjectStore,
  modelId: string,
  { model, tokenizer }: { readonly model: Model; readonly tokenizer: Tokenizer },
  { rounds, layers = [0], similarityThreshold = 0.9 }: FiringVersions,
): Promise<PublishedState[]> {
  const settings = resolveHyperparameters(
    { layers: [...layers], similarityThreshold, momentWeight: 1e-6 },
    model.config,
  );
  const ids = rounds.flatMap(({ addedIds }) => addedIds);
  const keys = await keysOfSubjects(model, tokenizer, settings, ids);
  const keysOf = (layer: number, wanted: readonly string[]) =>
    selectColumns(
      keys.get(layer)!,
      wanted.map((id) => ids.indexOf(id)),
    );
  return publishRounds(
    store,
    modelId,
    { config: model.config, settings, modelDigest: await modelDigest(model), keysOf, residualScale: 30 },
    rounds,
  );
}

async function keysOfSubjects(
  model: Model,
  tokenizer: Tokenizer,
  settings: Hyperparameters,
  subjects: readonly string[],
): Promise<ReadonlyMap<number, Matrix>> {
  const sources = subjects.map((subject) => {
    const { tokenIds, lookups } = tokenizeMarked(tokenizer, markSubject(firingPrompt, subject), []);
    return { texts: [{ tokenIds, lookupIndex: lookups[0], weight: 1 }] };
  });
  const collection = await KeyCollection.compile(model, { ...settings, gate: 'none' });
  const sketches = settings.layers.map((layer) => ({ layer, sketch: matrix(0, model.config.dInner) }));
  const { keys } = await collection.collect(sources, hooksOf(emptyState(model.config, settings), sketches), 256);
  await collection.dispose();
  return keys;
}
