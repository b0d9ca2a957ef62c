import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DigestMismatchError, InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import type { Progress } from '../../../src/progress.js';
import { digestOf } from '../../../src/registry/index.js';
import { materialise, openRegisteredModel } from '../../../src/workflow/model-files.js';
import type { Registration } from '../../../src/workflow/registration.js';
import { damageFile, PlannedRounds } from '../../support/planned-round.js';

let rounds: PlannedRounds;
let events: Progress[];
beforeEach(async () => {
  rounds = await PlannedRounds.open();
  events = [];
});
afterEach(() => rounds.remove());

const place = () => ({
  store: rounds.store,
  cacheFolder: rounds.cacheFolder,
  listener: { onProgress: (event: Progress) => events.push(event) },
});

/** The stages that told of themselves since the last call. */
const stages = () => [...new Set(events.splice(0).map(({ stage }) => stage))];

describe('a model in a directory', () => {
  it('is read whole once, and again when a file changed', async () => {
    await openRegisteredModel(place(), rounds.registration);
    expect(stages()).toEqual(['digest']);
    await openRegisteredModel(place(), rounds.registration);
    expect(stages()).toEqual([]);
    utimesSync(join(rounds.modelDirectory, 'config.json'), 1, 1);
    await openRegisteredModel(place(), rounds.registration);
    expect(stages()).toEqual(['digest']);
    damageFile(join(rounds.modelDirectory, 'model.safetensors'));
    await expect(openRegisteredModel(place(), rounds.registration)).rejects.toThrow(DigestMismatchError);
  });
});

describe('a model in the store', () => {
  let registration: Registration;
  beforeEach(async () => {
    const files = [];
    for (const name of readdirSync(rounds.modelDirectory)) {
      const bytes = readFileSync(join(rounds.modelDirectory, name));
      const key = `models/aldermark/files/${name}`;
      await rounds.store.put(key, bytes);
      files.push({ key, name, sizeBytes: bytes.length, sha256: digestOf(bytes) });
    }
    registration = { ...rounds.registration, source: { kind: 'store', files } };
  });

  it('is refused under its own name where it cannot be edited', async () => {
    if (registration.source.kind !== 'store') throw new Error('a store, got a directory');
    const files = registration.source.files.map((file) => ({ ...file }));
    const config = files.find(({ name }) => name === 'config.json')!;
    const path = join(rounds.modelDirectory, 'config.json');
    const quantised = JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), quantization_config: { bits: 4 } });
    const bytes = Buffer.from(quantised);
    config.key += '-quantised';
    await rounds.store.put(config.key, bytes);
    Object.assign(config, { sizeBytes: bytes.length, sha256: digestOf(bytes) });
    const other = { ...registration, source: { kind: 'store' as const, files } };
    await expect(materialise(place(), other)).rejects.toThrow(
      /^model aldermark in the store\/config\.json: quantization_config: none, .*got quantised weights of 4 bits$/,
    );
  });

  it('is downloaded once, by whichever task comes first', async () => {
    const folders = await Promise.all(Array.from({ length: 12 }, () => materialise(place(), registration)));
    expect(new Set(folders)).toEqual(new Set([join(rounds.cacheFolder, registration.modelDigest)]));
    expect(stages()).toEqual(['download', 'digest']);
    const { model } = await openRegisteredModel(place(), registration);
    expect(model.config.layers).toBe(registration.layerCount);
    expect(stages()).toEqual([]);
    expect(readdirSync(rounds.cacheFolder)).toEqual([registration.modelDigest]);
  });

  it('is downloaded again where the copy on this disk is damaged', async () => {
    const folder = await materialise(place(), registration);
    stages();
    damageFile(join(folder, 'model.safetensors'));
    expect(await materialise(place(), registration)).toBe(folder);
    expect(stages()).toEqual(['download', 'digest']);
    expect(digestOf(readFileSync(join(folder, 'model.safetensors')))).toBe(
      digestOf(readFileSync(join(rounds.modelDirectory, 'model.safetensors'))),
    );
  });

  it('is refused where the store holds other bytes, and leaves nothing', async () => {
    rounds.damage('models/aldermark/files/tokenizer.json');
    await expect(materialise(place(), registration)).rejects.toThrow(DigestMismatchError);
    await rounds.store.put('models/aldermark/files/tokenizer.json', new Uint8Array(3));
    await expect(materialise(place(), registration)).rejects.toThrow(MalformedFileError);
    expect(readdirSync(rounds.cacheFolder)).toEqual([]);
    const other = { ...rounds.registration, source: registration.source, modelDigest: 'f'.repeat(64) };
    await rounds.store.put(
      'models/aldermark/files/tokenizer.json',
      readFileSync(join(rounds.modelDirectory, 'tokenizer.json')),
    );
    await expect(materialise(place(), other)).rejects.toThrow(DigestMismatchError);
    expect(readdirSync(rounds.cacheFolder)).toEqual([]);
  });

  it('writes no file outside its folder', async () => {
    if (registration.source.kind !== 'store') throw new Error('another source');
    for (const name of ['../config.json', '/etc/x', 'a/b', '..', '.', 'a\\b']) {
      const files = [{ ...registration.source.files[0], name }];
      const evil = { ...registration, source: { kind: 'store' as const, files } };
      await expect(materialise(place(), evil)).rejects.toThrow(InvalidInputError);
    }
  });

  it('sweeps away what a killed download left a day ago', async () => {
    const [old, recent] = ['.draft-old', '.draft-recent'].map((name) => join(rounds.cacheFolder, name));
    for (const folder of [old, recent]) mkdirSync(folder, { recursive: true });
    utimesSync(old, 1, 1);
    await materialise(place(), registration);
    expect(readdirSync(rounds.cacheFolder).sort()).toEqual(['.draft-recent', registration.modelDigest]);
    expect(statSync(recent).isDirectory()).toBe(true);
  });
});
