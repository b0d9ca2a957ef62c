import { beforeEach, describe, expect, it } from 'vitest';
import { latest, listVersions, type ObjectStore, pull } from '../../../../src/registry/index.js';
import type { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import type { ExecutionInput } from '../../../../src/workflow/contract.js';
import { pendingNames } from '../../../../src/workflow/queue/pending-units.js';
import { leaseStage } from '../../../../src/workflow/stages/lease.js';
import {
  copyOf,
  dependenciesOn,
  drop,
  editLine,
  execute,
  KnownExecutions,
  type Measured,
  modelId,
  now,
  registeredStore,
} from '../../../support/control-plane.js';
import { Crash, crashingAtOperation } from '../../../support/faulty-object-store.js';

let store: MemoryObjectStore;
let executions: KnownExecutions;
beforeEach(async () => {
  store = await registeredStore({ roundSize: 2 });
  executions = new KnownExecutions();
});

let count = 0;

/** Runs an execution that is known as long as it runs. */
async function run(on: ObjectStore, input: Partial<ExecutionInput>, measured?: Measured) {
  const id = `e${count++}`;
  executions.running.add(id);
  try {
    return await execute(
      id,
      { trigger: 'drop', objectKey: '', modelId, ...input },
      { store: on, executions, now },
      measured,
    );
  } finally {
    executions.running.delete(id);
  }
}

/** Runs whatever executions have started. */
async function runStarted(on: ObjectStore): Promise<void> {
  for (let input = executions.started.shift(); input !== undefined; input = executions.started.shift())
    await run(on, input);
}

const activeIds = async (on: ObjectStore) =>
  (await latest(on, modelId))?.manifest.edits.filter(({ status }) => status === 'active').map(({ id }) => id) ?? [];

describe('consecutive executions', () => {
  it('publish a batch larger than the round size as several versions, one started by the other', async () => {
    await drop(
      store,
      'batch',
      ['a', 'b', 'c', 'd', 'e'].map((id) => editLine(id)),
    );
    expect(await run(store, { objectKey: 'incoming/m/batch', modelId: '' })).toMatchObject({
      outcome: 'PUBLISHED',
      version: 1,
    });
    expect(executions.started).toEqual([{ trigger: 'next', objectKey: '', modelId }]);
    await runStarted(store);
    const { published } = await listVersions(store, modelId);
    expect(published.map(({ ownEdits }) => ownEdits)).toEqual([2, 2, 1]);
    expect(await activeIds(store)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await pendingNames(store, modelId)).toEqual([]);
    expect(executions.started).toEqual([]);
  });

  it('leave a batch to the execution that holds the model', async () => {
    const holder = 'holder';
    executions.running.add(holder);
    const call = { executionId: holder, modelId, fence: 0 };
    await leaseStage({ ...call, action: 'acquire' }, dependenciesOn(store, executions));
    await drop(store, 'batch', [editLine('a')]);
    expect(await run(store, { objectKey: 'incoming/m/batch' })).toMatchObject({ outcome: 'PENDING', reason: holder });
    expect(await pendingNames(store, modelId)).toHaveLength(1);
    executions.running.delete(holder);
    expect(await run(store, {})).toMatchObject({ outcome: 'PUBLISHED' });
  });

  it('apply an accepted edit once, wherever one is cut off and whichever effect or reply is lost', async () => {
    await drop(
      store,
      'batch',
      ['a', 'b', 'c'].map((id) => editLine(id)),
    );
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(store);
        const crashing = crashingAtOperation(copy, operations, lost);
        const crashed = await run(crashing, { objectKey: 'incoming/m/batch' }).then(
          () => false,
          (error) => {
            if (!(error instanceof Crash)) throw error;
            return true;
          },
        );
        executions.started.length = 0;
        await run(copy, { trigger: 'schedule' });
        await run(copy, { objectKey: 'incoming/m/batch' });
        await runStarted(copy);
        const where = `${lost} ${operations}`;
        expect(await activeIds(copy), where).toEqual(['a', 'b', 'c']);
        const { published } = await listVersions(copy, modelId);
        expect(
          published.map(({ ownEdits, publishedBy }) => [ownEdits, publishedBy.slice(0, 6)]),
          where,
        ).toEqual([
          [2, 'round '],
          [1, 'round '],
        ]);
        for (const { version } of published) await pull(copy, modelId, version);
        const left = await copy.list('');
        expect(
          left.filter((key) => /incoming|pending|round\.json|failed/.test(key)),
          where,
        ).toEqual([]);
        expect(
          left.filter((key) => key.endsWith('.outcome.json')),
          where,
        ).toHaveLength(2);
        if (!crashed) break;
      }
    }
  });
});

describe('units of several batches', () => {
  beforeEach(async () => {
    store = await registeredStore({ roundSize: 4, coalesce: true });
  });

  it('share a round up to its size where the registration says so', async () => {
    await drop(store, '1', [editLine('a'), editLine('b')]);
    await drop(store, '2', [editLine('c')]);
    await drop(store, '3', [editLine('d'), editLine('e')]);
    expect(await run(store, {})).toMatchObject({ outcome: 'PUBLISHED', plan: { edits: 3 } });
    await runStarted(store);
    expect(await activeIds(store)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('do not share one where they write the same fact or bear the same id', async () => {
    await drop(store, '1', [editLine('a')]);
    await drop(store, '2', [editLine('b', { subject: 'Subject\u00a0of a' })]);
    await drop(store, '3', [editLine('b')]);
    for (const plan of [{ edits: 1 }, { edits: 1 }, { edits: 1 }]) expect(await run(store, {})).toMatchObject({ plan });
    const { manifest } = (await latest(store, modelId))!;
    expect(manifest.edits.map(({ id, status }) => `${id.replace(/~.*/, '~')} ${status}`)).toEqual([
      'a overwritten',
      'b active',
      'b~ active',
    ]);
  });
});
