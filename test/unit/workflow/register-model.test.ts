import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { digestOf, publish } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { materialise } from '../../../src/workflow/model-files.js';
import { registerModel } from '../../../src/workflow/register-model.js';
import { readRegistration } from '../../../src/workflow/registration.js';
import { manifestDraft } from '../../support/manifest-draft.js';
import { madeUpText, TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
let corpusPath: string;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
  corpusPath = await tiny.write('corpus.txt', madeUpText(3, 1));
});
afterAll(() => tiny.remove());

let store: MemoryObjectStore;
beforeEach(() => {
  store = new MemoryObjectStore();
});

const modelId = 'tiny';
const register = (more: Partial<Parameters<typeof registerModel>[1]> = {}) =>
  registerModel(store, {
    modelId,
    modelDirectory: tiny.model.directory,
    corpusPath,
    settings: { layers: [1] },
    ...more,
  });

describe('registering a model', () => {
  it('stores all that the workflow must know of it, and its text', async () => {
    const registration = await register({ criteria: { maxRepeats: 1 } });
    expect(await readRegistration(store, modelId)).toEqual(registration);
    expect(registration).toMatchObject({ modelDigest: tiny.digest, dInner: 48, roundSize: 100, heldOut: null });
    expect(registration.settings).toMatchObject({ layers: [1], momentWeight: 0.1 });
    expect(registration.criteria).toMatchObject({ maxRepeats: 1, minReliability: 0.9 });
    expect(digestOf((await store.get(registration.corpus!.key)).bytes)).toBe(registration.corpus!.sha256);
    await expect(readRegistration(store, 'other')).rejects.toThrow('model other: a registered model');
  });

  it('changes nothing the second time, and keeps what is not said again', async () => {
    const first = await register({ roundSize: 7, criteria: { maxRepeats: 1 } });
    const { etag } = (await store.head('models/tiny/model.json'))!;
    await registerModel(store, { modelId, modelDirectory: tiny.model.directory, settings: { layers: [1] } });
    expect((await store.head('models/tiny/model.json'))!.etag).toBe(etag);
    const { roundSize, criteria } = await register({ roundSize: 8, criteria: { minKeptShare: 0.1 } });
    expect([roundSize, criteria]).toEqual([8, { ...first.criteria, minKeptShare: 0.1 }]);
  });

  it('uploads the files that another machine opens the model with', async () => {
    const { source, modelDigest } = await register({ upload: true });
    const place = { store, cacheFolder: `${tiny.folder}/cache`, listener: {} };
    const folder = await materialise(place, { modelId, modelDigest, source });
    const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
    expect(names).toEqual((await readdir(tiny.model.directory)).sort());
  });

  it('is refused without a text where no statistics are stored', async () => {
    const request = { modelId, modelDirectory: tiny.model.directory };
    await expect(registerModel(store, request)).rejects.toThrow('--corpus: a text file');
    await expect(register({ corpusPath: '/nowhere' })).rejects.toThrow(InvalidInputError);
  });

  it('is refused for another model than that of the versions, and for settings that all versions share', async () => {
    const { settings } = await register();
    const draft = { ...manifestDraft([]), modelDigest: tiny.digest, hyperparameters: settings };
    const version = { manifest: draft, files: new Map(), base: null, publishedBy: 'a test' };
    await publish(store, modelId, version);
    await expect(register({ settings: { layers: [0] } })).rejects.toThrow('hyperparameter layers: [1] as in version 1');
    expect((await register({ settings: { steps: 3 } })).settings).toMatchObject({ layers: [1], steps: 3 });
    await publish(store, 'other', { ...version, manifest: { ...draft, modelDigest: 'b'.repeat(64) } });
    await expect(register({ modelId: 'other' })).rejects.toThrow("the model of the store's versions");
  });

  it('is refused with numbers out of range', async () => {
    await expect(register({ roundSize: 0 })).rejects.toThrow('roundSize of model tiny');
    await expect(register({ criteria: { minLocality: 2 } })).rejects.toThrow('criteria.minLocality of model tiny');
    await expect(register({ modelId: '../x' })).rejects.toThrow('model id');
  });
});
