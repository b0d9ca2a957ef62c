import { beforeEach, describe, expect, it } from 'vitest';
import { emptyState, resolveHyperparameters } from '../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { publish, versionFileKey } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { loadVersionHooks } from '../../../src/serving/index.js';
import { draftEdit, manifestDraft } from '../../support/manifest-draft.js';
import { type HookedModel, type PublishedState, publishRounds } from '../../support/published-version.js';
import { expectSameState } from '../../support/same-state.js';

const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
const settings = resolveHyperparameters(
  { layers: [1, 3], similarityThreshold: 0.625, sequenceThreshold: 2.25 },
  config,
);
const model: HookedModel = { config, settings, modelDigest: 'a'.repeat(64) };

let store: MemoryObjectStore;
let published: PublishedState[];
beforeEach(async () => {
  store = new MemoryObjectStore();
  published = await publishRounds(store, 'm', model, [
    { addedIds: ['a', 'b', 'c'] },
    { addedIds: ['d', 'e'], removedIds: ['b'] },
  ]);
});

describe('a published version, loaded', () => {
  it('is the state that its rounds ended with', async () => {
    for (const { version, state } of published) {
      const loaded = await loadVersionHooks(store, 'm', version.version);
      expectSameState(loaded.state, state);
      expect(loaded.editIds).toEqual(state.editIds);
      expect(loaded.manifest).toEqual(version.manifest);
    }
  });

  it('is the latest unless said otherwise, without the edits that were overwritten', async () => {
    const { editIds, hooks } = await loadVersionHooks(store, 'm');
    expect(editIds).toEqual(['a', 'c', 'd', 'e']);
    expect(hooks.map((hook) => [hook.layer, hook.keyNorms.length, hook.sketch.length])).toEqual([
      [1, 4, 2 * 16],
      [3, 4, 2 * 16],
    ]);
  });

  it('starts from the same empty state as the first round', async () => {
    const empty = emptyState(config, settings);
    const { state } = await loadVersionHooks(store, 'm', 1);
    expect(state.layers.map(({ memory }) => memory.momentWeight)).toEqual(
      empty.layers.map(({ memory }) => memory.momentWeight),
    );
  });

  it('is refused if a byte of an inherited segment differs', async () => {
    const key = versionFileKey('m', 1, 'hooks.safetensors');
    const { bytes } = await store.get(key);
    await store.put(
      key,
      bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
    );
    await expect(loadVersionHooks(store, 'm', 2)).rejects.toThrow(DigestMismatchError);
  });

  it('is refused if its hooks are not those of its active edits', async () => {
    const { manifest, etag } = published[1].version;
    const edits = [...manifest.edits, draftEdit('f')];
    const { layers, dModel, dInner, hyperparameters } = manifest;
    const withRetired = { ...(hyperparameters as object), retiredSetting: 2 };
    const shape = { layers, dModel, dInner, hyperparameters: withRetired };
    const draft = { ...manifestDraft(edits, manifest.segments), ...shape };
    await publish(store, 'm', { manifest: draft, files: new Map(), base: { version: 2, etag }, publishedBy: 'x' });
    await expect(loadVersionHooks(store, 'm')).rejects.toThrow('hooks of 5 active edits, got 4 others');
  });

  it('is refused if its settings are of another kind', async () => {
    const { manifest, etag } = published[1].version;
    const draft = { ...manifestDraft(manifest.edits, manifest.segments), hyperparameters: { layers: 'all' } };
    await publish(store, 'm', { manifest: draft, files: new Map(), base: { version: 2, etag }, publishedBy: 'x' });
    await expect(loadVersionHooks(store, 'm')).rejects.toThrow(MalformedFileError);
  });

  it('must exist', async () => {
    await expect(loadVersionHooks(store, 'm', 7)).rejects.toThrow(InvalidInputError);
    await expect(loadVersionHooks(store, 'other')).rejects.toThrow(InvalidInputError);
  });
});
