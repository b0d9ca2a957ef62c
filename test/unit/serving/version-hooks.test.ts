import { beforeEach, describe, expect, it } from 'vitest';
import { emptyState, resolveHyperparameters } from '../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { type DraftEdit, publish, versionFileKey } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { loadVersionHooks } from '../../../src/serving/index.js';
import { rowEditsOf } from '../../../src/serving/row-edits.js';
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
      expect(loaded.manifest).toEqual(version.manifest);
    }
  });

  it('is the latest unless said otherwise, without the edits that were overwritten', async () => {
    const { rowEdits, hooks } = await loadVersionHooks(store, 'm');
    expect(rowEdits).toEqual(['a', 'c', 'd', 'e'].map((id) => ({ subject: `subject of ${id}`, editIds: [id] })));
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

  const misfits: readonly [string, (edits: readonly DraftEdit[]) => readonly DraftEdit[], string][] = [
    ['an edit has no rows', (edits) => [...edits, draftEdit('f')], '5 memories of active edits, got none of f'],
    ['rows have no edit', (edits) => edits.filter(({ id }) => id !== 'c'), '3 memories of active edits, got rows of c'],
    [
      'an edit is of other rows',
      (edits) => edits.map((edit) => (edit.id === 'c' ? { ...edit, memory: 'b' } : edit)),
      '4 memories of active edits, got none of b',
    ],
  ];

  it.each(misfits)('is refused if %s', async (_, change, problem) => {
    const { manifest, etag } = published[1].version;
    const edits = change(manifest.edits);
    const { layers, dModel, dInner, hyperparameters } = manifest;
    const withRetired = { ...(hyperparameters as object), retiredSetting: 2 };
    const shape = { layers, dModel, dInner, hyperparameters: withRetired };
    const draft = { ...manifestDraft(edits, manifest.segments), ...shape };
    await publish(store, 'm', { manifest: draft, files: new Map(), base: { version: 2, etag }, publishedBy: 'x' });
    await expect(loadVersionHooks(store, 'm')).rejects.toThrow(`manifest of m version 3: rows of the ${problem}`);
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

describe('a subject with several rows and facts', () => {
  const ofAnn = (id: string, subject: string, prompt: string) => draftEdit(id, { subject, prompt, memory: 'ann' });
  const lives = ofAnn('lives', 'Ann', '{} lives in');
  const speaks = ofAnn('speaks', 'ANN', '{} speaks');
  const plays = ofAnn('plays', 'Ann', '{} plays the');
  const other = { subject: 'subject of b', editIds: ['b'] };

  beforeEach(async () => {
    store = new MemoryObjectStore();
    published = await publishRounds(store, 'm', model, [
      { addedIds: ['ann', 'b', 'ann'], edits: [lives, draftEdit('b'), speaks] },
      { addedIds: ['ann', 'ann', 'ann'], removedIds: ['ann'], edits: [plays] },
    ]);
  });

  it('is named by each of its rows, with all its active edits', async () => {
    const first = { subject: 'Ann', editIds: ['lives', 'speaks'] };
    expect((await loadVersionHooks(store, 'm', 1)).rowEdits).toEqual([first, other, first]);
    const second = { subject: 'Ann', editIds: ['lives', 'speaks', 'plays'] };
    const loaded = await loadVersionHooks(store, 'm');
    expect(loaded.rowEdits).toEqual([other, second, second, second]);
    expect(loaded.hooks.map(({ keyNorms }) => keyNorms.length)).toEqual([4, 4]);
    expectSameState(loaded.state, published[1].state);
  });

  it('is named without the edits that are active no more', async () => {
    const { manifest, etag } = published[1].version;
    const { layers, dModel, dInner, hyperparameters } = manifest;
    const edits = manifest.edits.map((edit) => (edit.id === 'lives' ? { ...edit, status: 'revoked' as const } : edit));
    const draft = { ...manifestDraft(edits, manifest.segments), layers, dModel, dInner, hyperparameters };
    await publish(store, 'm', { manifest: draft, files: new Map(), base: { version: 2, etag }, publishedBy: 'x' });
    const ann = { subject: 'ANN', editIds: ['speaks', 'plays'] };
    expect((await loadVersionHooks(store, 'm')).rowEdits).toEqual([other, ann, ann, ann]);
  });
});

describe('rows', () => {
  it('of edits that share an id, as release 0.1 could write them, each say their own', () => {
    const edits = ['Ann', 'Bob', 'Eve'].map((subject, i) => draftEdit(i === 1 ? 'other' : 'same', { subject }));
    const expected = edits.map(({ id, subject }) => ({ subject, editIds: [id] }));
    expect(rowEditsOf(['same', 'other', 'same'], edits)).toEqual(expected);
    expect(() => rowEditsOf(['same', 'same', 'other', 'same'], edits)).toThrow(
      'row 3 of the hooks: an active edit, got none of same',
    );
  });

  it('without an active edit are refused', () => {
    expect(() => rowEditsOf(['a', 'b'], [draftEdit('a')])).toThrow('row 1 of the hooks: an active edit, got none of b');
  });
});
