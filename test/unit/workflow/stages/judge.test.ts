import { beforeEach, describe, expect, it } from 'vitest';
import { encodeCanonical, registrationKey } from '../../../../src/registry/index.js';
import type { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { publishCriteriaSchema } from '../../../../src/rounds/index.js';
import type { FunctionOutput } from '../../../../src/workflow/contract.js';
import { attemptKey, readRejectedEdits } from '../../../../src/workflow/plan/round-files.js';
import { ingestStage } from '../../../../src/workflow/stages/ingest.js';
import { judgeStage } from '../../../../src/workflow/stages/judge.js';
import { planStage } from '../../../../src/workflow/stages/plan.js';
import { publishStage } from '../../../../src/workflow/stages/publish.js';
import {
  contentOf,
  copyOf,
  dependenciesOn,
  drop,
  editLine,
  type Measured,
  modelId,
  registeredStore,
  registrationOf,
  solveAndValidate,
  storeStatistics,
} from '../../../support/control-plane.js';
import { Crash, crashingAtOperation } from '../../../support/faulty-object-store.js';

const call = { executionId: 'e', modelId };
let store: MemoryObjectStore;
let plan: FunctionOutput<'plan'>;
beforeEach(async () => {
  store = await registeredStore({ validationShardSize: 2 });
  await storeStatistics(store);
  await drop(
    store,
    'batch',
    ['a', 'b', 'c', 'd'].map((id) => editLine(id)),
  );
  await ingestStage({ ...call, trigger: 'drop', objectKey: '' }, dependenciesOn(store));
  plan = await planStage({ ...call, fence: 1 }, dependenciesOn(store));
});

async function judge(measured: Measured, attempt = 0) {
  await solveAndValidate(store, plan.planKey, attempt, measured);
  return judgeStage({ modelId, planKey: plan.planKey, attempt }, dependenciesOn(store));
}

describe('the criteria', () => {
  it('publish a round that meets them', async () => {
    expect(await judge({})).toEqual({ decision: 'publish', attempt: 0, rejected: 0, reason: '' });
  });

  it('reject failed edits of any shard, each with its measured number, and add them up', async () => {
    const first = await judge({ reliability: { b: 0.5 } });
    const reason = 'rejected 1: b (reliability: at least 1, got 0.5)';
    expect(first).toEqual({ decision: 'repeat', attempt: 1, rejected: 1, reason });
    const second = await judge({ locality: { d: 0.25 } }, 1);
    expect(second).toMatchObject({ decision: 'repeat', attempt: 2, rejected: 2 });
    expect(await readRejectedEdits(store, plan.planKey, 2)).toEqual([
      { id: 'b', reason: 'reliability: at least 1, got 0.5' },
      { id: 'd', reason: 'locality: at least 0.5, got 0.25' },
    ]);
    expect(await judge({}, 2)).toEqual({ decision: 'publish', attempt: 2, rejected: 2, reason: '' });
  });

  it('leave enough of a round, and then the whole must meet them', async () => {
    const failing = { reliability: { a: 0, b: 0, c: 0 } };
    const { reason, ...judged } = await judge(failing);
    expect(judged).toEqual({ decision: 'reject', attempt: 0, rejected: 0 });
    expect(reason).toContain('mean reliability: at least 0.9, got 0.25; edits that hold: at least 0.5 of 4, got 1; ');
    expect(reason).toContain('rejected 3: a (reliability: at least 1, got 0), b (');
  });

  it('publish with a failed edit that may not be rejected any more if the whole meets them', async () => {
    const criteria = publishCriteriaSchema.parse({ maxRepeats: 1 });
    const registration = encodeCanonical(registrationOf({ validationShardSize: 2, criteria }));
    await store.put(registrationKey(modelId), registration);
    expect(await judge({ reliability: { b: 0.9 } })).toMatchObject({ decision: 'repeat' });
    expect(await judge({ reliability: { c: 0.9 } }, 1)).toMatchObject({ decision: 'publish', rejected: 1 });
  });

  it('reject what does harm elsewhere, naming each number and its requirement', async () => {
    const { decision, reason } = await judge({ perplexityRatio: 1.23456, retention: 0.5 });
    expect(decision).toBe('reject');
    expect(reason).toBe('retention of earlier edits: at least 0.9, got 0.5; perplexity ratio: at most 1.05, got 1.235');
  });

  it('decide once: the records may change afterwards, and it may be cut off anywhere', async () => {
    await solveAndValidate(store, plan.planKey, 0, { reliability: { b: 0.5 } });
    const input = { modelId, planKey: plan.planKey, attempt: 0 };
    const before = await copyOf(store);
    const expected = await judgeStage(input, dependenciesOn(store));
    for (const lost of ['operation', 'reply'] as const) {
      for (let operations = 0; ; operations++) {
        const copy = await copyOf(before);
        const first = judgeStage(input, dependenciesOn(crashingAtOperation(copy, operations, lost)));
        const error = await first.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) break;
        expect(error).toBeInstanceOf(Crash);
        expect(await judgeStage(input, dependenciesOn(copy))).toEqual(expected);
        expect(await contentOf(copy)).toEqual(await contentOf(store));
      }
    }
    await store.delete(attemptKey(plan.planKey, 0, 'validation-0.json'));
    expect(await judgeStage(input, dependenciesOn(store))).toEqual(expected);
  });

  it('refuse the plan of another model, and a record that lacks an edit', async () => {
    await solveAndValidate(store, plan.planKey, 0);
    const other = judgeStage({ modelId: 'other', planKey: plan.planKey, attempt: 0 }, dependenciesOn(store));
    await expect(other).rejects.toThrow('a plan of model other, got an object elsewhere');
    const key = attemptKey(plan.planKey, 0, 'validation-1.json');
    const text = new TextDecoder().decode((await store.get(key)).bytes);
    await store.put(key, new TextEncoder().encode(text.replaceAll('"id":"d"', '"id":"x"')));
    await expect(judge({})).rejects.toThrow('edits that were measured, got d, which was not');
  });
});

describe('a rejected round', () => {
  it('ends with its reason and without a version, and leaves the queue', async () => {
    const { reason, attempt } = await judge({ perplexityRatio: 2 });
    const output = await publishStage(
      { ...call, action: 'reject', planKey: plan.planKey, attempt, reason },
      dependenciesOn(store),
    );
    const reportKey = `models/m/rounds/${plan.roundId}/report.html`;
    expect(output).toEqual({ outcome: 'rejected', version: 0, edits: 0, rejected: 0, reason, reportKey });
    const report = new TextDecoder().decode((await store.get(reportKey)).bytes);
    expect(report).toContain('rejected round');
    expect(report).toContain(reason);
    const left = await store.list('models/m/');
    expect(left.filter((key) => /pending|round\.json|versions|latest/.test(key))).toEqual([]);
    const next = await planStage({ ...call, fence: 2 }, dependenciesOn(store));
    expect(next.hasRound).toBe(false);
  });
});
