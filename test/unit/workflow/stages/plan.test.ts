import { beforeEach, describe, expect, it } from 'vitest';
import { decodeHookFile, encodeHookFile } from '../../../../src/editing/index.js';
import {
  DigestMismatchError,
  InvalidInputError,
  NoSuchKeyError,
  PermanentError,
  StaleBaseError,
} from '../../../../src/errors.js';
import {
  digestOf,
  latest,
  listVersions,
  type ObjectStore,
  publish,
  pull,
  registrationKey,
  versionFileKey,
} from '../../../../src/registry/index.js';
import type { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { encodeCanonical } from '../../../../src/registry/stored-json.js';
import { loadVersionHooks } from '../../../../src/serving/index.js';
import type { FunctionOutput } from '../../../../src/workflow/contract.js';
import { readPlan, readRejectedEdits } from '../../../../src/workflow/plan/round-files.js';
import { ingestStage } from '../../../../src/workflow/stages/ingest.js';
import { planStage } from '../../../../src/workflow/stages/plan.js';
import { publishStage } from '../../../../src/workflow/stages/publish.js';
import {
  contentOf,
  copyOf,
  dependenciesOn,
  drop,
  editAndJudge,
  editLine,
  execute,
  KnownExecutions,
  modelId,
  now,
  registeredStore,
  registrationOf,
  solveAndValidate,
  storeStatistics,
} from '../../../support/control-plane.js';
import { Crash, crashingAtOperation, intercepted } from '../../../support/faulty-object-store.js';

const call = { executionId: 'e', modelId };
let store: MemoryObjectStore;
beforeEach(async () => {
  store = await registeredStore({ valueShardSize: 2, validationShardSize: 3 });
});

const plan = (on: ObjectStore = store) => planStage({ ...call, fence: 1 }, dependenciesOn(on));
const ingest = () => ingestStage({ ...call, trigger: 'drop', objectKey: '' }, dependenciesOn(store));
const publishPlan = (planned: FunctionOutput<'plan'>, on: ObjectStore = store) =>
  publishStage({ ...call, action: 'publish', planKey: planned.planKey, attempt: 0, reason: '' }, dependenciesOn(on));

async function dropped(...lines: readonly string[]): Promise<void> {
  await drop(store, 'batch', lines);
  await ingest();
}

/** A version with the edits a and b. */
async function publishFirst(): Promise<void> {
  await drop(store, 'first', [editLine('a'), editLine('b')]);
  const dependencies = { store, executions: new KnownExecutions(), now };
  await execute('first', { trigger: 'drop', objectKey: '', modelId }, dependencies);
}

async function damage(key: string): Promise<void> {
  const { bytes } = await store.get(key);
  await store.put(key, bytes.with(bytes.length - 1, bytes[bytes.length - 1] ^ 1));
}

describe('a plan', () => {
  it('is of nothing where nothing is pending', async () => {
    expect(await plan()).toMatchObject({ hasRound: false, planKey: '', valueShards: [] });
    expect(await store.list('models/m/round')).toEqual([]);
  });

  it('says what a first round needs, and is the same the second time', async () => {
    await dropped(...['a', 'b', 'c', 'd', 'e'].map((id) => editLine(id)), 'not JSON');
    const output = await plan();
    expect(output).toMatchObject({ hasRound: true, edits: 5, statisticsNeeded: true, statisticsShards: [0] });
    expect(output).toMatchObject({ valueShards: [0, 1, 2], validationShards: [0, 1], attempt: 0 });
    const stored = await readPlan(store, output.planKey);
    expect(stored.valueShards).toEqual([[0, 1], [2, 3], [4]]);
    expect(stored).toMatchObject({ base: null, rejected: [{ lineNumber: 6 }], overwrites: [] });
    expect(await plan()).toEqual(output);
  });

  it('needs no statistics where they are stored, and no values once they are solved', async () => {
    await dropped(editLine('a'));
    await storeStatistics(store);
    const first = await plan();
    expect(first).toMatchObject({ statisticsNeeded: false, statisticsShards: [], valueShards: [0] });
    await solveAndValidate(store, first.planKey, 0);
    expect(await plan()).toEqual({ ...first, valueShards: [] });
  });

  it('names the edits of the base that are overwritten, and gives ids in use another name', async () => {
    await publishFirst();
    await dropped(editLine('b', { subject: 'subject of a' }), editLine('c'));
    const { edits, overwrites, base } = await readPlan(store, (await plan()).planKey);
    expect(base).toMatchObject({ version: 1 });
    expect(edits.map(({ id }) => id)).toEqual([expect.stringMatching(/^b~[0-9a-f]{12}$/), 'c']);
    expect(overwrites).toEqual([{ newId: edits[0].id, oldId: 'a' }]);
  });

  it('holds the earlier facts of its subjects, with all that they were written with', async () => {
    await drop(store, 'first', [editLine('a', { paraphrases: ['{} is at'] }), editLine('b')]);
    const dependencies = { store, executions: new KnownExecutions(), now };
    await execute('first', { trigger: 'drop', objectKey: '', modelId }, dependencies);
    const [{ memory }] = (await latest(store, modelId))!.manifest.edits;
    await dropped(editLine('c', { subject: 'Subject  of A', prompt: '{} works in' }), editLine('d'));
    const { earlier } = await readPlan(store, (await plan()).planKey);
    expect(earlier).toMatchObject([{ version: 1, memory, edit: { id: 'a', paraphrases: ['{} is at'] } }]);
    expect(earlier).toHaveLength(1);
  });

  it('has all edits of a subject in one shard of values, however many', async () => {
    const subject = 'Ada';
    const lines = ['a', 'b', 'c'].map((id) => editLine(id, { subject, prompt: `{} ${id}` }));
    await dropped(
      editLine('x'),
      lines[0],
      editLine('y'),
      ...lines.slice(1),
      editLine('z', { aliases: ['subject of x'] }),
    );
    const { valueShards, validationShards } = await readPlan(store, (await plan()).planKey);
    expect(valueShards).toEqual([[0, 5], [1, 3, 4], [2]]);
    expect(validationShards).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });

  it('resumes the round in work, whatever has been dropped since', async () => {
    await dropped(editLine('a'));
    const first = await plan();
    await drop(store, 'other', [editLine('b')]);
    await ingest();
    expect(await plan()).toEqual(first);
  });

  it('compares the gates on the last round of those that wait', async () => {
    const compares = async () => (await readPlan(store, (await plan()).planKey)).compareGates;
    store = await registeredStore({ compareGates: true });
    await dropped(editLine('a'), editLine('b'));
    expect(await compares()).toBe(true);
    store = await registeredStore({ compareGates: true, roundSize: 1 });
    await dropped(editLine('a'), editLine('b'));
    expect(await compares()).toBe(false);
  });

  it('does not take a round for the last one while a file that was dropped beside it still settles', async () => {
    store = await registeredStore({ compareGates: true });
    await dropped(editLine('a'));
    await drop(store, 'second', [editLine('b')]);
    const settling: ObjectStore = {
      ...intercepted(store, (carryOut) => carryOut()),
      arrivals: async (prefix) => (await store.arrivals(prefix)).map((arrival) => ({ ...arrival, isGrowing: true })),
    };
    const { planKey } = await plan(settling);
    expect((await readPlan(store, planKey)).compareGates).toBe(false);
  });

  it('leaves the same behind wherever it is cut off and tried again', async () => {
    await dropped(editLine('a'), editLine('b'));
    await storeStatistics(store);
    const before = await copyOf(store);
    const expected = await plan();
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(before);
        const error = await plan(crashingAtOperation(copy, operations, lost)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) break;
        expect(error).toBeInstanceOf(Crash);
        expect(await plan(copy)).toEqual(expected);
        expect(await contentOf(copy)).toEqual(await contentOf(store));
      }
    }
  });
});

describe('before any work is planned', () => {
  it('a damaged segment of the base is named', async () => {
    await publishFirst();
    await dropped(editLine('c'));
    await damage(versionFileKey(modelId, 1, 'hooks.safetensors'));
    await expect(plan()).rejects.toThrow(DigestMismatchError);
    await expect(plan()).rejects.toThrow('models/m/versions/000001/hooks.safetensors');
  });

  it('a missing segment of the base is named', async () => {
    await publishFirst();
    await dropped(editLine('c'));
    await store.delete(versionFileKey(modelId, 1, 'hooks.safetensors'));
    await expect(plan()).rejects.toThrow(NoSuchKeyError);
  });

  it('damaged statistics are named', async () => {
    await dropped(editLine('a'));
    await storeStatistics(store);
    const key = (await store.list('models/m/statistics/')).find((name) => name.endsWith('factor.safetensors'))!;
    await damage(key);
    await expect(plan()).rejects.toThrow(PermanentError);
    await expect(plan()).rejects.toThrow(key);
  });

  it('a damaged or missing corpus is named where statistics are needed', async () => {
    await dropped(editLine('a'));
    const { key } = registrationOf().corpus!;
    await damage(key);
    await expect(plan()).rejects.toThrow(`${key}: SHA-256`);
    await store.delete(key);
    await expect(plan()).rejects.toThrow(NoSuchKeyError);
    await storeStatistics(store);
    await expect(plan()).resolves.toMatchObject({ hasRound: true });
  });

  it('statistics of the base that are lost and cannot be made again are named', async () => {
    await publishFirst();
    await dropped(editLine('c'));
    for (const key of await store.list('models/m/statistics/')) await store.delete(key);
    expect(await plan()).toMatchObject({ statisticsNeeded: true });
    await store.put(registrationKey(modelId), encodeCanonical(registrationOf({ corpus: null })));
    await expect(plan()).rejects.toThrow('stored or made of the registered model');
  });

  it("a registered model or fixed settings that are not the base's are named", async () => {
    await publishFirst();
    await dropped(editLine('c'));
    await store.put(registrationKey(modelId), encodeCanonical(registrationOf({ modelDigest: 'b'.repeat(64) })));
    await expect(plan()).rejects.toThrow(DigestMismatchError);
    const settings = { ...registrationOf().settings, momentWeight: 3 };
    await store.put(registrationKey(modelId), encodeCanonical(registrationOf({ settings })));
    await expect(plan()).rejects.toThrow(InvalidInputError);
    await expect(plan()).rejects.toThrow('hyperparameter momentWeight');
  });
});

describe('publishing a plan', () => {
  it('is refused where somebody moved the base, and the next plan stands on the new one', async () => {
    await publishFirst();
    await dropped(editLine('c'));
    const planned = await plan();
    await editAndJudge(planned, dependenciesOn(store));
    const { manifest, version, etag } = (await latest(store, modelId))!;
    const base = { version, etag };
    await publish(store, modelId, { manifest, files: new Map(), base, publishedBy: 'somebody else' });
    await expect(publishPlan(planned)).rejects.toThrow(StaleBaseError);
    const again = await plan();
    expect(again.roundId).toBe(planned.roundId);
    expect(again.planKey).not.toBe(planned.planKey);
    await editAndJudge(again, dependenciesOn(store));
    expect(await publishPlan(again)).toMatchObject({ outcome: 'published', version: 3 });
    expect((await latest(store, modelId))!.manifest.parent).toBe(2);
  });

  it('happens once, wherever it is cut off and tried again, and the version is complete', async () => {
    await publishFirst();
    await dropped(editLine('c'), editLine('d', { subject: 'subject of a' }));
    const planned = await plan();
    await editAndJudge(planned, dependenciesOn(store));
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(store);
        const error = await publishPlan(planned, crashingAtOperation(copy, operations, lost)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) break;
        expect(error).toBeInstanceOf(Crash);
        const output = await publishPlan(planned, copy);
        expect(output).toMatchObject({ outcome: 'published', edits: 2, rejected: 0 });
        const { published } = await listVersions(copy, modelId);
        expect(published.map(({ version }) => version)).toEqual([1, output.version]);
        const { manifest, files } = await pull(copy, modelId);
        expect(manifest.edits.map(({ id, status }) => `${id} ${status}`)).toEqual([
          'a overwritten',
          'b active',
          'c active',
          'd active',
        ]);
        const report = new TextDecoder().decode(files.get(output.reportKey.slice('models/m/'.length))!);
        expect(report).toContain(`m, version ${output.version}`);
        expect(await plan(copy)).toMatchObject({ hasRound: false });
      }
    }
  });

  it('leaves out an edit with which an earlier fact of its subject is lost, and keeps that fact as it was', async () => {
    await publishFirst();
    const before = (await latest(store, modelId))!.manifest;
    const lost = { companions: { a: 0.5 } };
    await dropped(editLine('c', { subject: 'subject of a', prompt: '{} works in' }), editLine('d'));
    const planned = await plan();
    const judged = await editAndJudge(planned, dependenciesOn(store), lost);
    expect(judged).toMatchObject({ decision: 'publish', attempt: 1, rejected: 1 });
    expect(await readRejectedEdits(store, planned.planKey, 1)).toEqual([
      { id: 'c', reason: 'earlier edit a of the same subject: reliability: at least 1, got 0.5' },
    ]);
    const input = { ...call, action: 'publish' as const, planKey: planned.planKey, attempt: 1, reason: '' };
    expect(await publishStage(input, dependenciesOn(store))).toMatchObject({ edits: 1, rejected: 1 });
    const { manifest } = (await latest(store, modelId))!;
    expect(manifest.edits.slice(0, 2)).toEqual(before.edits);
    expect(manifest.edits.slice(2)).toMatchObject([{ id: 'd', status: 'active' }]);
  });

  it('goes on with what release 0.1 solved: a row for each edit, under its id', async () => {
    await dropped(editLine('a'), editLine('b'));
    const planned = await plan();
    await editAndJudge(planned, dependenciesOn(store));
    const fileOf = (name: string) => planned.planKey.replace('plan.json', `attempt-0/${name}`);
    const { bytes } = await store.get(fileOf('hooks.safetensors'));
    const { segment, sketches } = decodeHookFile(bytes, 'hooks');
    const hooks = encodeHookFile({ segment: { ...segment, addedIds: ['a', 'b'] }, sketches });
    const solved = JSON.parse(new TextDecoder().decode((await store.get(fileOf('solve.json'))).bytes));
    const { memories: _, ...record } = solved;
    await store.put(fileOf('hooks.safetensors'), hooks);
    await store.put(fileOf('solve.json'), encodeCanonical({ ...record, segmentSha256: digestOf(hooks) }));
    expect(await publishPlan(planned)).toMatchObject({ outcome: 'published', edits: 2 });
    const { rowEdits } = await loadVersionHooks(store, modelId);
    expect(rowEdits.map(({ editIds }) => editIds)).toEqual([['a'], ['b']]);
  });

  it('is refused where the segment is not the one that was measured', async () => {
    await dropped(editLine('a'));
    const planned = await plan();
    await editAndJudge(planned, dependenciesOn(store));
    await damage(planned.planKey.replace('plan.json', 'attempt-0/hooks.safetensors'));
    await expect(publishPlan(planned)).rejects.toThrow(DigestMismatchError);
    expect(await latest(store, modelId)).toBeUndefined();
  });
});
