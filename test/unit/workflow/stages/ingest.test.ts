import { beforeEach, describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../../../../src/errors.js';
import {
  contentKey,
  digestOf,
  encodeCanonical,
  type ObjectStore,
  statisticsKey,
} from '../../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { plannedContexts } from '../../../../src/rounds/context-templates.js';
import { readInbox, refusalOf } from '../../../../src/workflow/queue/inbox.js';
import { batchLimitBytes } from '../../../../src/workflow/queue/ingest-object.js';
import { pendingNames, readPending, readUnit } from '../../../../src/workflow/queue/pending-units.js';
import { ingestStage } from '../../../../src/workflow/stages/ingest.js';
import {
  contentOf,
  copyOf,
  dependenciesOn,
  drop,
  editLine,
  hookedModel,
  modelId,
  registeredStore,
  registrationOf,
} from '../../../support/control-plane.js';
import { beforeOperation, Crash, crashingAtOperation, intercepted } from '../../../support/faulty-object-store.js';

let store: MemoryObjectStore;
beforeEach(async () => {
  store = await registeredStore({ roundSize: 2 });
});

const ingest = (on: ObjectStore, objectKey: string, more: { executionId?: string; modelId?: string } = {}) =>
  ingestStage({ trigger: 'drop', objectKey, modelId: '', executionId: 'e1', ...more }, dependenciesOn(on));

const fiveLines = ['a', 'b', 'c'].map((id) => editLine(id)).concat('not JSON', editLine('d'));

/** Contexts as the model would write them. */
async function writeContexts(on: ObjectStore, last: string): Promise<void> {
  const { modelDigest, settings } = hookedModel;
  const { chatContexts, seed } = settings;
  const inputs = { kind: 'contexts', formatVersion: 2, modelDigest, contextTokens: 2, chatContexts, seed };
  const templates = ['{}', ...Array.from({ length: 4 }, () => 'w. {}'), last];
  const contexts = templates.map((template) => ({ template, role: 'text' }));
  const sealed = { inputs, contexts, sha256: contentKey({ inputs, contexts }) };
  await on.put(statisticsKey(modelId, contentKey(inputs), 'contexts.json'), encodeCanonical(sealed));
}

async function pendingEdits(on: ObjectStore): Promise<string[][]> {
  const units = (await pendingNames(on, modelId)).map(async (name) => {
    const edits = await readUnit(on, modelId, await readPending(on, modelId, name));
    return edits.map(({ id }) => id);
  });
  return Promise.all(units);
}

describe('ingest', () => {
  it('cuts a batch into units of the round size, keeps its source and tells of every rejected line', async () => {
    await drop(store, 'batch.jsonl', fiveLines);
    const { bytes } = await store.get('incoming/m/batch.jsonl');
    const output = await ingest(store, 'incoming/m/batch.jsonl');
    const digest = digestOf(bytes);
    const reportKey = `models/m/batches/${digest}/rejections.json`;
    expect(output).toEqual({ modelId, outcome: 'accepted', accepted: 4, rejected: 1, units: 2, reason: '', reportKey });
    expect(await pendingEdits(store)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(await pendingNames(store, modelId)).toEqual([
      `20260102T030405678-${digest.slice(0, 16)}-0001.json`,
      `20260102T030405678-${digest.slice(0, 16)}-0002.json`,
    ]);
    expect(await store.head('incoming/m/batch.jsonl')).toBeUndefined();
    expect((await store.get(`models/m/batches/${digest}/source`)).bytes).toEqual(bytes);
    const rejections = JSON.parse(new TextDecoder().decode((await store.get(reportKey)).bytes));
    expect(rejections).toMatchObject([{ lineNumber: 4, reason: expect.stringContaining('JSON') }]);
  });

  it('leaves the same behind wherever it is cut off and tried again', async () => {
    await drop(store, 'batch.jsonl', fiveLines);
    const undisturbed = await copyOf(store);
    const expected = await ingest(undisturbed, 'incoming/m/batch.jsonl');
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(store);
        const first = ingest(crashingAtOperation(copy, operations, lost), 'incoming/m/batch.jsonl');
        const crashed = await first.then(
          () => false,
          (error) => error instanceof Crash,
        );
        if (!crashed) break;
        const output = await ingest(copy, 'incoming/m/batch.jsonl');
        // Where only the very last reply was lost, nothing is left to be ingested.
        if (output.outcome !== 'nothing') expect(output, `${lost} ${operations}`).toEqual(expected);
        expect(await contentOf(copy), `${lost} ${operations}`).toEqual(await contentOf(undisturbed));
      }
    }
  });

  describe('of edits that the model cannot take', () => {
    const long = 'w '.repeat(600);

    it('rejects those by line with both numbers, and keeps one whose measuring texts alone are too long', async () => {
      const prompt = `${long}{} lives in`;
      const lines = [editLine('a'), editLine('b', { prompt }), editLine('c', { testParaphrases: [long] })];
      await drop(store, 'batch.jsonl', lines);
      const { accepted, reportKey } = await ingest(store, 'incoming/m/batch.jsonl');
      expect(accepted).toBe(2);
      expect(await pendingEdits(store)).toEqual([['a', 'c']]);
      const rejections = JSON.parse(new TextDecoder().decode((await store.get(reportKey)).bytes));
      const reason = expect.stringMatching(/^prompt with its target: 1 to 512 tokens, got 6\d\d$/);
      expect(rejections).toEqual([{ lineNumber: 2, reason, excerpt: expect.any(String) }]);
    });

    it('takes one that fits by itself, whatever contexts the model has written', async () => {
      const registration = registrationOf({ settings: { ...hookedModel.settings, contextTokens: 2 } });
      store = await registeredStore({ settings: registration.settings });
      const edge = editLine('edge', { prompt: `${'w '.repeat(460)}{} lives in` });
      await writeContexts(store, `${'w '.repeat(60)}{}`);
      expect(await plannedContexts(store, registration)).toHaveLength(6);
      await drop(store, 'one', [editLine('a'), edge]);
      expect(await ingest(store, 'incoming/m/one')).toMatchObject({ accepted: 2, rejected: 0 });
    });

    it('goes on with the check with which it began, wherever it is cut off', async () => {
      await drop(store, 'one', [editLine('a'), editLine('b', { prompt: `${long}{} lives in` })]);
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(store);
        const crashed = await ingest(crashingAtOperation(copy, operations, 'operation'), 'incoming/m/one').then(
          () => false,
          (error) => error instanceof Crash,
        );
        if (!crashed) break;
        expect(await ingest(copy, 'incoming/m/one'), `${operations}`).toMatchObject({ accepted: 1, rejected: 1 });
        expect(await pendingEdits(copy), `${operations}`).toEqual([['a']]);
      }
    });

    it('goes on without a check with a batch that a release without one began', async () => {
      const lines = [editLine('a'), editLine('b', { prompt: `${long}{} lives in` })];
      await drop(store, 'one', lines);
      const digest = digestOf((await store.get('incoming/m/one')).bytes);
      const counts = { accepted: 2, rejected: 0, units: 1, roundSize: 2, newestVersion: 0 };
      const begun = { objectKey: 'incoming/m/one', receivedAt: '2026-01-02T03:04:05.678Z', executionId: 'e0' };
      const batch = { schemaVersion: 1, ...begun, ...counts, reason: '' };
      await store.put(`models/m/batches/${digest}/batch.json`, encodeCanonical(batch));
      expect(await ingest(store, 'incoming/m/one')).toMatchObject({ accepted: 2, rejected: 0 });
      expect(await pendingEdits(store)).toEqual([['a', 'b']]);
    });

    it('fails, and keeps the file, where the model has no tokenizer', async () => {
      store = await registeredStore({ source: { kind: 'directory', path: '/nowhere' } });
      await drop(store, 'one', [editLine('a')]);
      await expect(ingest(store, 'incoming/m/one')).rejects.toThrow('tokenizer /nowhere: a tokenizer.json, got none');
      expect(await store.head('incoming/m/one')).toBeDefined();
    });
  });

  it('takes a batch that was dropped before for a duplicate, by its content', async () => {
    await drop(store, 'one', fiveLines);
    await drop(store, 'two', fiveLines);
    await ingest(store, 'incoming/m/one');
    const before = await pendingNames(store, modelId);
    expect(await ingest(store, 'incoming/m/two', { executionId: 'e2' })).toMatchObject({
      outcome: 'duplicate',
      units: 2,
    });
    expect(await pendingNames(store, modelId)).toEqual(before);
    expect(await ingest(store, 'incoming/m/two')).toMatchObject({ outcome: 'nothing' });
  });

  it('ingests the same object side by side as often as it is told to', async () => {
    await drop(store, 'one', fiveLines);
    const calls = Array.from({ length: 8 }, (_, i) => ingest(store, 'incoming/m/one', { executionId: `e${i}` }));
    await Promise.all(calls);
    expect(await pendingEdits(store)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('leaves a file that is dropped under the same name meanwhile for its own turn, whenever that happens', async () => {
    await drop(store, 'batch.jsonl', fiveLines);
    const others = [editLine('x'), editLine('y')];
    for (let operations = 0; ; operations++) {
      const copy = await copyOf(store);
      let dropped = false;
      const meanwhile = beforeOperation(copy, operations, async () => {
        dropped = true;
        await drop(copy, 'batch.jsonl', others);
      });
      await ingest(meanwhile, 'incoming/m/batch.jsonl');
      if (!dropped) break;
      await ingest(copy, 'incoming/m/batch.jsonl');
      expect((await pendingEdits(copy)).flat(), `operation ${operations}`).toEqual(expect.arrayContaining(['x', 'y']));
      expect(await copy.list('incoming/')).toEqual([]);
    }
  });

  it('rejects a batch without one acceptable line, again when it is dropped again', async () => {
    await drop(store, 'bad', ['{}', 'x']);
    const output = await ingest(store, 'incoming/m/bad');
    expect(output).toMatchObject({ outcome: 'rejected', accepted: 0, rejected: 2, units: 0 });
    expect(output.reason).toMatch(
      /^batch incoming\/m\/bad: at least one acceptable edit, got none in 2 lines; line 1: /,
    );
    expect(await pendingNames(store, modelId)).toEqual([]);
    await drop(store, 'again', ['{}', 'x']);
    expect(await ingest(store, 'incoming/m/again')).toMatchObject({ outcome: 'rejected', rejected: 2 });
    await drop(store, 'empty', []);
    expect(await ingest(store, 'incoming/m/empty')).toMatchObject({ outcome: 'rejected', rejected: 0 });
    expect(await store.list('incoming/')).toEqual([]);
  });

  it('says how to register an unknown model, and leaves the batch where it is', async () => {
    const empty = new MemoryObjectStore();
    await drop(empty, 'batch', fiveLines);
    const output = await ingest(empty, 'incoming/m/batch');
    expect(output).toMatchObject({ modelId, outcome: 'rejected' });
    expect(output.reason).toContain('model m: a model of this store, got none of this name; register it with');
    expect(await empty.list('')).toEqual(['incoming/m/batch']);
  });

  it.each([
    'models/m/model.json',
    'incoming/batch.jsonl',
    'incoming/M/batch',
    'incoming/../m/batch',
    'incoming/m/../n/x',
    'elsewhere',
  ])('refuses the key %s, which is in no inbox', async (objectKey) => {
    const before = await contentOf(store);
    const output = await ingest(store, objectKey);
    expect(output).toMatchObject({ outcome: 'rejected', modelId: '' });
    expect(output.reason).toContain('incoming/<model id>/<name>');
    expect(await contentOf(store)).toEqual(before);
  });

  it('has nothing to do for the folder itself, as consoles create it', async () => {
    expect(await ingest(store, 'incoming/m/')).toMatchObject({ outcome: 'nothing', modelId });
    expect(await ingest(store, 'incoming/')).toMatchObject({ outcome: 'rejected' });
  });

  it("refuses an object in another model's inbox, and a model id that is none", async () => {
    expect(await ingest(store, 'incoming/n/x', { modelId })).toMatchObject({ outcome: 'rejected', modelId });
    expect(await ingest(store, '', { modelId: '../m' })).toMatchObject({ outcome: 'rejected', modelId: '../m' });
    expect(await ingest(store, '')).toMatchObject({ outcome: 'rejected' });
  });

  it('refuses what is too large once, and leaves it in the inbox', async () => {
    await store.put('incoming/m/large', new Uint8Array(batchLimitBytes + 1));
    const { reason, outcome } = await ingest(store, 'incoming/m/large');
    expect([outcome, reason]).toEqual([
      'rejected',
      'batch incoming/m/large: at most 64 MiB; cut it into several files, got 64.0 MiB',
    ]);
    const [large] = await store.arrivals('incoming/m/');
    expect(await refusalOf(store, modelId, large)).toBe(reason);
    expect(await ingest(store, '', { modelId })).toMatchObject({ outcome: 'nothing' });
    await drop(store, 'large', [editLine('a')]);
    expect(await ingest(store, '', { modelId })).toMatchObject({ outcome: 'accepted', accepted: 1 });
  });

  it('takes a whole inbox in the order of its arrival, counts it together, and says what was rejected', async () => {
    await drop(store, '3', [editLine('first')]);
    await drop(store, '1', [editLine('second'), '?']);
    await drop(store, '2', ['?']);
    const output = await ingest(store, '', { modelId });
    expect(output).toMatchObject({ outcome: 'accepted', accepted: 2, rejected: 2, units: 2 });
    expect(output.reason).toMatch(/^batch incoming\/m\/2: at least one acceptable edit, got none/);
    expect(await pendingEdits(store)).toEqual([['first'], ['second']]);
    expect(await ingest(store, '', { modelId })).toMatchObject({ outcome: 'nothing', units: 0 });
  });

  it('takes what arrived before the object that it is told of first, and nothing that arrived later', async () => {
    for (const name of ['z', 'b', 'a']) await drop(store, name, [editLine(name)]);
    expect(await ingest(store, 'incoming/m/b')).toMatchObject({ outcome: 'accepted', accepted: 2 });
    expect(await pendingEdits(store)).toEqual([['z'], ['b']]);
    expect(await store.list('incoming/')).toEqual(['incoming/m/a']);
  });

  it('keeps the order of ten files whoever is told of which, and whatever the clocks say', async () => {
    const names = ['4', '9', '0', '3', '7', '1', '8', '2', '6', '5'];
    for (const name of names) await drop(store, name, [editLine(name)]);
    const clocks = names.map((_, i) => ({
      ...dependenciesOn(store),
      now: () => new Date(Date.UTC(2026, 0, 1, 12, (i * 7) % 10)),
    }));
    const told = ['6', '0', '5', '9', '1', '2', '3', '8', '4', '7'];
    const calls = told.map((name, i) =>
      ingestStage(
        { trigger: 'drop', objectKey: `incoming/m/${name}`, modelId: '', executionId: `e${name}` },
        clocks[i],
      ),
    );
    await Promise.all(calls);
    expect((await pendingEdits(store)).flat()).toEqual(names);
  });

  it.each([
    '.edits.jsonl.Xb3',
    'edits.jsonl~',
    '.deep/edits.jsonl',
    'edits.crdownload',
    'edits.jsonl.part',
    '4913',
  ])('passes over %s, as programs name what they have not finished', async (name) => {
    await drop(store, name, [editLine('a')]);
    expect(await ingest(store, `incoming/m/${name}`)).toMatchObject({ outcome: 'nothing' });
    expect(await ingest(store, '', { modelId })).toMatchObject({ outcome: 'nothing' });
    expect(await store.list('incoming/')).toEqual([`incoming/m/${name}`]);
  });

  it('goes on with the others where one object cannot be read or removed, and takes that one when it can', async () => {
    await drop(store, 'locked', [editLine('a')]);
    await drop(store, 'stuck', [editLine('b')]);
    await drop(store, 'good', [editLine('c')]);
    let isOpen = false;
    const guarded = intercepted(store, async (carryOut, operation, key) => {
      const isRefused =
        (operation === 'get' && key.endsWith('locked')) || (operation === 'delete' && key.endsWith('stuck'));
      if (isRefused && !isOpen) throw new StoreUnavailableError(key, 'EACCES');
      return carryOut();
    });
    const first = await ingest(guarded, '', { modelId });
    expect(first).toMatchObject({ outcome: 'accepted', accepted: 2 });
    expect(first.reason).toBe('batch incoming/m/locked: readable, got EACCES');
    expect((await pendingEdits(store)).flat()).toEqual(['b', 'c']);
    isOpen = true;
    // The edits of the one that could not be removed were taken already.
    expect(await ingest(guarded, '', { modelId })).toMatchObject({ outcome: 'accepted', accepted: 1 });
    expect((await pendingEdits(store)).flat()).toEqual(['b', 'c', 'a']);
    expect((await readInbox(store, modelId)).map(({ key, state }) => [key, state])).toEqual([
      ['incoming/m/stuck', 'refused'],
    ]);
  });
});
