import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { defaultMemoryBudgetBytes } from '../../../../src/editing/index.js';
import { HooklineError } from '../../../../src/errors.js';
import { incomingKey, type ObjectStore, registrationKey } from '../../../../src/registry/index.js';
import type { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { encodeCanonical } from '../../../../src/registry/stored-json.js';
import { runTask } from '../../../../src/workflow/index.js';
import { stageFunctions } from '../../../../src/workflow/stages/function-stages.js';
import { ingestProperty } from '../../../support/batch-bytes.js';
import {
  contentOf,
  copyOf,
  dependenciesOn,
  drop,
  type editAndJudge,
  editLine,
  execute,
  KnownExecutions,
  modelId,
  now,
  registeredStore,
  registrationOf,
} from '../../../support/control-plane.js';
import { RecordingStore } from '../../../support/recording-store.js';

/** Whatever is asked for by a hostile name lies below the model that it names, if it names one. */
const other = 'other';
let store: MemoryObjectStore;
beforeAll(async () => {
  store = await registeredStore();
  const dependencies = { store, executions: new KnownExecutions(), now };
  await drop(store, 'first', [editLine('a')]);
  await execute('e1', { trigger: 'drop', objectKey: '', modelId }, dependencies);
  const registration = { ...registrationOf(), modelId: other };
  await store.put(registrationKey(other), encodeCanonical(registration));
  await store.put(incomingKey(other, 'secret'), new TextEncoder().encode(`${editLine('s')}\n`));
});

const segment = fc.constantFrom(
  ...['..', '.', '', 'm', other, 'models', 'incoming', 'secret', 'model.json', 'latest.json', '%2e%2e', '..%2f', '\\'],
  ...['..\\', '\0', '\u202e', '~', 'C:', 'M', 'x'.repeat(300), '.hookline', 'ｍ', 'm ', 'plan.json', 'rounds', 'm/..'],
);
const path = fc
  .array(fc.oneof({ arbitrary: segment, weight: 4 }, fc.string()), { maxLength: 6 })
  .map((all) => all.join('/'));
/** Names from outside: paths that climb, keys of another model, ids of any characters. */
const name = fc.oneof(
  path,
  path.map((tail) => `incoming/${tail}`),
  path.map((tail) => `incoming/m/${tail}`),
  path.map((tail) => `models/${other}/${tail}`),
  fc.constantFrom(modelId, other, '', `incoming/${other}/secret`, `models/${other}/model.json`, `models/m/../${other}`),
  fc.constantFrom(`${modelId}/../${other}`, `../models/${other}`, 'incoming/m/../other/secret', '__proto__'),
);

const ownPrefixes = (id: string): string[] =>
  /^[a-z0-9][a-z0-9._-]{0,99}$/.test(id) ? [`models/${id}/`, `incoming/${id}/`] : [];

/** Runs something on a copy and gives back what it touched. Only errors that were foreseen may end it. */
async function touchedBy(run: (on: ObjectStore) => Promise<unknown>): Promise<readonly string[]> {
  const recording = new RecordingStore(await copyOf(store));
  try {
    await run(recording);
  } catch (error) {
    expect(error).toBeInstanceOf(HooklineError);
  }
  return [...recording.touched];
}

const expectBelow = (touched: readonly string[], prefixes: readonly string[]): void =>
  expect(touched.filter((key) => !prefixes.some((prefix) => key.startsWith(prefix)))).toEqual([]);

describe('a batch of any bytes', () => {
  it('is ingested without an error, and every line of it is a pending edit or has a reason', async () => {
    await fc.assert(ingestProperty, { numRuns: Number(process.env.HOOKLINE_FUZZ_RUNS ?? 1000) });
  });
});

describe('names from outside', () => {
  it('of a dropped object lead to nothing but the model whose inbox it lies in', async () => {
    await fc.assert(
      fc.asyncProperty(name, name, async (objectKey, stated) => {
        const input = { trigger: 'drop', objectKey, modelId: stated, executionId: 'e' };
        const touched = await touchedBy((on) => stageFunctions(dependenciesOn(on)).ingest(input));
        const owner = objectKey === '' ? stated : (/^incoming\/([^/]*)\//.exec(objectKey)?.[1] ?? '/');
        expectBelow(touched, ownPrefixes(owner));
        if (objectKey !== '' && stated !== '' && stated !== owner) expect(touched).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('of models, plans, rounds and executions lead to nothing but that model', async () => {
    await fc.assert(
      fc.asyncProperty(name, name, name, async (id, planKey, executionId) => {
        const call = { executionId: executionId || 'e', modelId: id };
        const calls: readonly (readonly [keyof ReturnType<typeof stageFunctions>, Record<string, unknown>])[] = [
          ['lease', { ...call, action: 'acquire', fence: 0 }],
          ['lease', { ...call, action: 'release', fence: 0 }],
          ['plan', { ...call, fence: 1 }],
          ['notify', { ...call, ...failure, outcome: 'FAILED', roundId: planKey }],
          ['notify', { ...call, ...failure, outcome: 'PUBLISHED', roundId: planKey }],
          ['collect', { trigger: 'next', modelId: id || '-' }],
        ];
        for (const [stage, input] of calls) {
          const touched = await touchedBy((on) => stageFunctions(dependenciesOn(on))[stage](input));
          expectBelow(touched, [
            ...ownPrefixes(id),
            ...(stage === 'notify' && ownPrefixes(id).length === 0 ? ['records/'] : []),
          ]);
        }
        for (const [stage, input] of [
          ['judge', { modelId: id, planKey, attempt: 0 }],
          ['publish', { ...call, action: 'publish', planKey, attempt: 0, reason: '' }],
        ] as const) {
          const touched = await touchedBy((on) => stageFunctions(dependenciesOn(on))[stage](input));
          expectBelow(touched, ownPrefixes(id));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('of plans lead a container task nowhere', async () => {
    const place = { cacheFolder: '/nonexistent', device: 'cpu', memoryBudgetBytes: defaultMemoryBudgetBytes } as const;
    const stages = fc.constantFrom('values', 'solve', 'validate', 'statistics', 'merge');
    await fc.assert(
      fc.asyncProperty(name, stages, async (planKey, stage) => {
        const task = { stage, planKey, shard: 0, attempt: 0 };
        expect(await touchedBy((store) => runTask(task, { ...place, store, listener: {} }))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

const failure = { version: 0, stage: 'plan', error: 'TransientError', cause: 'x' };

describe("another model's objects", () => {
  it("are neither read nor written while a model's batches are edited", async () => {
    const copy = await copyOf(store);
    const recording = new RecordingStore(copy);
    const before = await contentOf(copy);
    const hostile = [
      editLine('../../other/model.json', { subject: '../../../models/other/latest.json' }),
      editLine('models/other/latest.json', { subject: 'models/other' }),
      editLine('b', { targetNew: 'incoming/other/secret', testParaphrases: ['models/other/model.json'] }),
    ];
    const objectKey = 'incoming/m/models%2Fother';
    await recording.put(objectKey, new TextEncoder().encode(`${hostile.join('\n')}\n`));
    const dependencies = { store: recording, executions: new KnownExecutions(), now };
    expect(await execute('e2', { trigger: 'drop', objectKey, modelId: '' }, dependencies)).toMatchObject({
      outcome: 'PUBLISHED',
      version: 2,
    });
    expectBelow([...recording.touched], ownPrefixes(modelId));
    const after = await contentOf(copy);
    const others = Object.keys(after).filter((key) => key.includes(`/${other}/`));
    expect(others.length).toBeGreaterThan(1);
    for (const key of others) expect(after[key]).toBe(before[key]);
  });

  it('are not reached by a plan that lies elsewhere than it says', async () => {
    const copy = await copyOf(store);
    const dependencies = { store: copy, executions: new KnownExecutions(), now };
    await drop(copy, 'second', [editLine('c')]);
    const functions = stageFunctions(dependencies);
    await functions.ingest({ trigger: 'drop', objectKey: '', modelId, executionId: 'e3' });
    const planned = (await functions.plan({ executionId: 'e3', modelId, fence: 1 })) as Parameters<
      typeof editAndJudge
    >[0];
    const plan = JSON.parse(new TextDecoder().decode((await copy.get(planned.planKey)).bytes));
    await copy.put(planned.planKey, encodeCanonical({ ...plan, modelId: other }));
    for (const stage of ['values', 'solve', 'validate', 'statistics', 'merge'] as const) {
      const recording = new RecordingStore(copy);
      const place = { cacheFolder: '/nonexistent', device: 'cpu', memoryBudgetBytes: 1 } as const;
      const task = { stage, planKey: planned.planKey, shard: 0, attempt: 0 };
      await expect(runTask(task, { ...place, store: recording, listener: {} })).rejects.toThrow(
        /a plan of model|its own/,
      );
      expectBelow([...recording.touched], ownPrefixes(modelId));
    }
  });
});
