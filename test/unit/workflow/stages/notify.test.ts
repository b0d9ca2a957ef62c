import { beforeEach, describe, expect, it } from 'vitest';
import { latest, type ObjectStore } from '../../../../src/registry/index.js';
import type { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { redriveFailed } from '../../../../src/workflow/queue/current-round.js';
import { pendingNames } from '../../../../src/workflow/queue/pending-units.js';
import { collectStage } from '../../../../src/workflow/stages/collect.js';
import { ingestStage } from '../../../../src/workflow/stages/ingest.js';
import { leaseStage } from '../../../../src/workflow/stages/lease.js';
import { notifyStage } from '../../../../src/workflow/stages/notify.js';
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
} from '../../../support/control-plane.js';
import { Crash, crashingAtOperation } from '../../../support/faulty-object-store.js';

let store: MemoryObjectStore;
let executions: KnownExecutions;
beforeEach(async () => {
  store = await registeredStore({ roundSize: 1 });
  executions = new KnownExecutions();
});

const nothing = { roundId: '', version: 0, error: '', cause: '', rejectedFiles: '' };
const said = { ...nothing, outcome: 'FAILED' as const, modelId, stage: 'plan' };
type Said = Partial<Omit<typeof said, 'outcome'>> & {
  readonly outcome?: 'FAILED' | 'PUBLISHED' | 'REJECTED' | 'NOTHING';
};

const notify = (executionId: string, more: Said, on: ObjectStore = store) =>
  notifyStage({ ...said, ...more, executionId }, dependenciesOn(on, executions));

const names = async (on: ObjectStore, folder: string) =>
  (await on.list(`models/m/${folder}/`)).map((key) => key.slice(`models/m/${folder}/`.length));

async function roundInWork(ids: readonly string[] = ['a', 'b']): Promise<string> {
  await drop(
    store,
    'batch',
    ids.map((id) => editLine(id)),
  );
  const call = { modelId, executionId: 'planner' };
  await ingestStage({ ...call, trigger: 'drop', objectKey: '' }, dependenciesOn(store));
  return (await planStage({ ...call, fence: 1 }, dependenciesOn(store))).roundId;
}

const permanent = {
  error: 'PermanentError',
  cause: JSON.stringify({ errorType: 'PermanentError', errorMessage: 'no' }),
};

describe('notify', () => {
  it('records an end once and says it in words', async () => {
    await drop(store, 'batch', [editLine('a')]);
    const dependencies = { store, executions, now };
    await execute('e1', { trigger: 'drop', objectKey: '', modelId }, dependencies);
    const [, roundId] = /rounds\/([0-9a-f]{16})\//.exec((await store.list('models/m/rounds/'))[0])!;
    const output = await notify('arn:aws:states:x:1:execution:hookline:e2', {
      outcome: 'PUBLISHED',
      version: 1,
      roundId,
    });
    expect(output).toMatchObject({ subject: 'hookline m: version 1 published', recordKey: 'models/m/records/e2.json' });
    expect(output.message).toContain('1 edits published.');
    expect(await notify('e3', { outcome: 'REJECTED', cause: 'no edits' })).toMatchObject({
      subject: 'hookline m: batch rejected',
      message: 'Rejected: no edits.\nExecution e3.',
    });
    expect(await names(store, 'records')).toEqual(['e1.json', 'e2.json', 'e3.json']);
  });

  it('names files that were rejected beside what was taken', async () => {
    const rejectedFiles = 'batch incoming/m/2: at least one acceptable edit, got none in 1 lines';
    const { message } = await notify('e1', { outcome: 'NOTHING', rejectedFiles });
    expect(message).toContain(`Rejected of what was dropped: ${rejectedFiles}.`);
  });

  it('keeps the record of what was dropped for no possible model apart', async () => {
    const output = await notify('e1', { outcome: 'REJECTED', modelId: '../m', cause: 'no' });
    expect(output.recordKey).toBe('records/e1.json');
    expect(await notify('e2', { modelId: '', stage: 'ingest' })).toMatchObject({ recordKey: 'records/e2.json' });
  });

  it('tells the message of a failed function and of a failed job', async () => {
    const roundId = await roundInWork();
    const job = { StatusReason: 'Essential container exited', Container: { ExitCode: 1, LogStreamName: 'solve/1' } };
    const { message } = await notify('e1', {
      roundId,
      stage: 'solve',
      error: 'States.TaskFailed',
      cause: JSON.stringify(job),
    });
    expect(message).toContain(
      'Stage solve failed: States.TaskFailed: Essential container exited, exit code 1, log stream solve/1',
    );
    expect(await notify('e2', { roundId, ...permanent })).toMatchObject({
      message: expect.stringContaining('Stage plan failed: PermanentError: no\nThe round is quarantined'),
    });
    const failure = JSON.parse(new TextDecoder().decode((await store.get('models/m/failures/e2.json')).bytes));
    expect(failure).toMatchObject({ stage: 'plan', error: 'PermanentError', message: 'no', roundId });
  });
});

describe('a round that fails', () => {
  it('is quarantined at once where trying again cannot help', async () => {
    const roundId = await roundInWork();
    await notify('e1', { roundId, ...permanent });
    expect(await names(store, 'failed')).toHaveLength(1);
    expect(await pendingNames(store, modelId)).toHaveLength(1);
    expect(await store.head('models/m/round.json')).toBeUndefined();
    expect(await store.head(`models/m/rounds/${roundId}/outcome.json`)).toBeUndefined();
  });

  it('is quarantined at once where a job ends with the exit code for it, or the plan fails', async () => {
    const roundId = await roundInWork();
    const cause = JSON.stringify({ Attempts: [{ Container: { ExitCode: 64 } }], Container: { ExitCode: 64 } });
    await notify('e1', { roundId, stage: 'values', error: 'States.TaskFailed', cause });
    expect(await names(store, 'failed')).toHaveLength(1);
    await planStage({ modelId, executionId: 'e', fence: 1 }, dependenciesOn(store));
    await notify('e2', permanent);
    expect(await names(store, 'failed')).toHaveLength(2);
  });

  it('is quarantined after three executions otherwise, each counted once', async () => {
    const roundId = await roundInWork();
    const failure = { roundId, stage: 'solve', error: 'States.Timeout' };
    for (const execution of ['e1', 'e1', 'e2', 'e2']) {
      const { message } = await notify(execution, failure);
      expect(message).toContain('stays in work');
    }
    expect(await store.head('models/m/round.json')).toBeDefined();
    await notify('e3', failure);
    expect(await names(store, 'failed')).toHaveLength(1);
  });

  it('is never quarantined for what this machine lacks, and only a schedule goes on with it then', async () => {
    const roundId = await roundInWork();
    const machine = { error: 'MachineError', cause: 'store: free space on its disk, got ENOSPC', stage: 'values' };
    for (let i = 0; i < 5; i++) await notify(`e${i}`, { ...machine, roundId });
    expect(await names(store, 'failed')).toEqual([]);
    expect(await names(store, 'pending')).toHaveLength(2);
    const collect = (trigger: 'next' | 'schedule') =>
      collectStage({ trigger, modelId }, dependenciesOn(store, executions));
    expect(await collect('next')).toEqual({ models: [], started: 0 });
    expect(await collect('schedule')).toEqual({ models: [modelId], started: 1 });
  });

  it('is left to the execution that has taken it up meanwhile', async () => {
    const roundId = await roundInWork();
    executions.running.add('other');
    const call = { modelId, executionId: 'other', fence: 0 };
    await leaseStage({ ...call, action: 'acquire' }, dependenciesOn(store, executions));
    await notify('e1', { roundId, ...permanent });
    expect(await names(store, 'failed')).toEqual([]);
    expect(await store.head('models/m/round.json')).toBeDefined();
  });

  it('is not quarantined where it has been published already: its end is made up for', async () => {
    const call = { modelId, executionId: 'e' };
    await roundInWork(['a']);
    const planned = await planStage({ ...call, fence: 1 }, dependenciesOn(store));
    await editAndJudge(planned, dependenciesOn(store));
    const whole = await copyOf(store);
    const input = { ...call, action: 'publish' as const, planKey: planned.planKey, attempt: 0, reason: '' };
    await publishStage(input, dependenciesOn(whole));
    const published = (await whole.list('models/m/')).filter((key) => /versions|latest/.test(key));
    for (const key of published) await store.put(key, (await whole.get(key)).bytes);
    await notify('e1', { roundId: planned.roundId, stage: 'publish', ...permanent });
    expect(await names(store, 'failed')).toEqual([]);
    expect(await planStage({ ...call, fence: 2 }, dependenciesOn(store))).toMatchObject({ hasRound: false });
    expect(await contentOf(store)).toMatchObject({
      [`models/m/rounds/${planned.roundId}/outcome.json`]: expect.stringContaining('"version":1'),
    });
    expect(await pendingNames(store, modelId)).toEqual([]);
  });

  it('is moved as a whole, wherever notifying is cut off and tried again', async () => {
    const roundId = await roundInWork();
    const before = await copyOf(store);
    const expected = await notify('e1', { roundId, ...permanent });
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(before);
        const error = await notify('e1', { roundId, ...permanent }, crashingAtOperation(copy, operations, lost)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) break;
        expect(error).toBeInstanceOf(Crash);
        expect(await notify('e1', { roundId, ...permanent }, copy), `${lost} ${operations}`).toEqual(expected);
        expect(await contentOf(copy), `${lost} ${operations}`).toEqual(await contentOf(store));
      }
    }
  });

  it('is over where an execution publishes it although it was quarantined', async () => {
    const call = { modelId, executionId: 'e' };
    const roundId = await roundInWork(['a']);
    const planned = await planStage({ ...call, fence: 1 }, dependenciesOn(store));
    const { attempt, reason } = await editAndJudge(planned, dependenciesOn(store));
    await notify('e1', { roundId, ...permanent });
    const ending = { ...call, action: 'publish' as const, planKey: planned.planKey, attempt, reason };
    expect(await publishStage(ending, dependenciesOn(store))).toMatchObject({ outcome: 'published', version: 1 });
    expect(await redriveFailed(store, modelId)).toBe(0);
    expect(await pendingNames(store, modelId)).toEqual([]);
  });

  it('is edited after all when it is driven again, once', async () => {
    const roundId = await roundInWork(['a']);
    await notify('e1', { roundId, ...permanent });
    const before = await copyOf(store);
    const driven = (on: ObjectStore) => execute('e2', { trigger: 'run', objectKey: '', modelId }, dependenciesOn(on));
    for (let operations = 0; ; operations++) {
      const copy = await copyOf(before);
      const crashed = await redriveFailed(crashingAtOperation(copy, operations, 'reply'), modelId).then(
        () => false,
        () => true,
      );
      await redriveFailed(copy, modelId);
      expect(await names(copy, 'failed')).toEqual([]);
      expect(await driven(copy)).toMatchObject({ outcome: 'PUBLISHED' });
      expect(await driven(copy)).toMatchObject({ outcome: 'NOTHING' });
      expect((await latest(copy, modelId))!.manifest.edits.map(({ id }) => id)).toEqual(['a']);
      if (!crashed) break;
    }
    expect(await redriveFailed(store, modelId)).toBe(1);
    expect(await pendingNames(store, modelId)).toEqual([expect.stringMatching(/^20260102T030405679-/)]);
  });
});

describe('collect', () => {
  const collect = (trigger: 'next' | 'schedule', id = modelId) =>
    collectStage({ trigger, modelId: id }, dependenciesOn(store, executions));

  it('starts one execution for each model with pending units, a round in work or a full inbox', async () => {
    expect(await collect('schedule', '')).toEqual({ models: [], started: 0 });
    await drop(store, 'batch', [editLine('a')]);
    await store.put('incoming/unregistered/x', new Uint8Array(1));
    expect(await collect('next')).toMatchObject({ started: 0 });
    expect(await collect('schedule', '')).toEqual({ models: [modelId], started: 1 });
    expect(executions.started).toEqual([{ trigger: 'schedule', objectKey: '', modelId }]);
    await roundInWork();
    expect(await collect('next')).toMatchObject({ started: 1 });
  });

  it('leaves a model to the running execution that holds it', async () => {
    await roundInWork();
    executions.running.add('other');
    const call = { modelId, executionId: 'other', fence: 0 };
    await leaseStage({ ...call, action: 'acquire' }, dependenciesOn(store, executions));
    expect(await collect('next')).toMatchObject({ started: 0 });
    executions.running.delete('other');
    expect(await collect('next')).toMatchObject({ started: 1 });
  });

  it('does not go on without end where executions fail before they have a round', async () => {
    await roundInWork();
    for (const execution of ['e1', 'e2', 'e3']) {
      expect(await collect('next')).toMatchObject({ started: 1 });
      await notify(execution, { stage: 'ingest', error: 'TypeError' });
    }
    expect(await collect('next')).toMatchObject({ started: 0 });
    expect(await collect('schedule')).toMatchObject({ started: 1 });
    await notify('e4', { outcome: 'NOTHING' });
    expect(await collect('next')).toMatchObject({ started: 1 });
  });
});
