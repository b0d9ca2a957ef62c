import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { PreconditionFailedError, StaleBaseError, StoreUnavailableError, TransientError } from '../../../src/errors.js';
import { type HistoryEvent, readExecution } from '../../../src/local/execution-history.js';
import type { StageFunction } from '../../../src/local/local-workflow.js';
import { acquireLease } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { withFaultyWrites } from '../../support/faulty-object-store.js';
import { patienceSeconds } from '../../support/patience.js';
import {
  bedOf,
  functionState,
  hostOf,
  mapOver,
  task,
  taskState,
  workflowFolder,
  workflowOf,
} from './small-workflow.js';

const { entryPoint, fileIn } = workflowFolder();

const functions = { functions: { First: 'collect' } } as const;
const typesOf = (events: readonly HistoryEvent[]) =>
  events.map(({ type, state, index }) => [type, state, index].filter((part) => part !== undefined).join(' '));
const begin = (shards: readonly number[]) => ({ Type: 'Pass', Parameters: { shards }, Next: 'First' });
const withShards = (shards: readonly number[], map: Record<string, unknown>, rest: Record<string, unknown> = {}) =>
  workflowOf({ Begin: begin(shards), First: map, ...rest }, { tasks: { Shard: task } });

/** Fails with these errors, one a call, and then answers. */
function failing(...errors: readonly unknown[]): StageFunction & { readonly calls: unknown[] } {
  const calls: unknown[] = [];
  const run: StageFunction = async (input) => {
    calls.push(input);
    if (calls.length <= errors.length) throw errors[calls.length - 1];
    return { models: ['tiny'], started: 1 };
  };
  return Object.assign(run, { calls });
}

describe('a function state', () => {
  it('passes what the state machine gives, and the history tells its answer', async () => {
    let given: unknown;
    const bed = bedOf(workflowOf({ First: functionState() }, functions), {
      collect: async (input) => {
        given = input;
        return { models: ['tiny'], started: 1 };
      },
    });
    const { execution, events } = await bed.run();
    expect(given).toEqual({ trigger: 'run', modelId: 'tiny' });
    expect(await execution.ended).toMatchObject({ status: 'SUCCEEDED', note: null });
    expect(typesOf(events)).toEqual([
      'ExecutionStarted',
      'StateEntered First',
      'StateExited First',
      'ExecutionSucceeded',
    ]);
    expect(events[2].detail).toEqual({ models: ['tiny'], started: 1 });
  });

  it('is tried again for the errors that Retry names, after delays with full jitter, and no oftener than it says', async () => {
    const Retry = [
      {
        ErrorEquals: ['TransientError'],
        IntervalSeconds: 1,
        BackoffRate: 2,
        MaxDelaySeconds: 1,
        MaxAttempts: 2,
        JitterStrategy: 'FULL',
      },
    ];
    const workflow = workflowOf({ First: functionState({ Retry }) }, functions);
    const lost = new TransientError('store: an answer, got none');
    // What is asked of the timers, a quarter of a second each time: what they make of it hangs on the machine.
    const asked = vi.spyOn(globalThis, 'setTimeout');
    const drawn = vi.spyOn(Math, 'random').mockReturnValue(0.25);
    const recovered = await bedOf(workflow, { collect: failing(lost, lost) }).run();
    expect(await recovered.execution.ended).toMatchObject({ status: 'SUCCEEDED' });
    expect(asked.mock.calls.filter(([, milliseconds]) => milliseconds === 250)).toHaveLength(2);
    for (const spy of [asked, drawn]) spy.mockRestore();
    expect(typesOf(recovered.events).filter((type) => type.startsWith('StateRetried'))).toHaveLength(2);
    const lasting = failing(lost, lost, lost, lost);
    const failed = await bedOf(workflow, { collect: lasting }).run();
    expect(lasting.calls).toHaveLength(3);
    expect(await failed.execution.ended).toMatchObject({
      status: 'FAILED',
      error: 'TransientError',
      cause: lost.message,
    });
  });

  it.each([
    [new PreconditionFailedError('a', 'absent'), 'Permanent', 'PermanentError'],
    [new StaleBaseError('tiny', 1, 2), 'Stale', 'StaleBaseError'],
    [new TransientError('x: y, got z'), 'Transient', 'TransientError'],
    [new StoreUnavailableError('store', 'ENOSPC'), 'Other', 'MachineError'],
    [new TypeError('undefined is not a function'), 'Other', 'TypeError'],
  ])('that throws %s is caught as what it is, and the history keeps the name', async (error, caughtIn, name) => {
    const to = (errorName: string, Next: string) => ({ ErrorEquals: [errorName], Next, ResultPath: '$.error' });
    const Catch = [
      to('PermanentError', 'Permanent'),
      to('StaleBaseError', 'Stale'),
      to('TransientError', 'Transient'),
      to('States.ALL', 'Other'),
    ];
    const ends = Object.fromEntries(
      ['Permanent', 'Stale', 'Transient', 'Other'].map((state) => [state, { Type: 'Succeed' }]),
    );
    const { events } = await bedOf(workflowOf({ First: functionState({ Catch }), ...ends }, functions), {
      collect: failing(error),
    }).run();
    expect(events.find(({ type }) => type === 'StateFailed')).toMatchObject({
      state: 'First',
      error: name,
      cause: error.message,
    });
    expect(typesOf(events)).toContain(`StateEntered ${caughtIn}`);
    const detail = events.find(({ type }) => type === 'StateFailed')?.detail;
    expect(typeof detail).toBe(name === 'TypeError' ? 'string' : 'undefined');
  });

  it('in a machine that is none is refused before anything begins', async () => {
    const bed = bedOf(workflowOf({ First: functionState({ Next: 'Nowhere' }) }, functions));
    await expect(bed.run()).rejects.toThrow('state machine: valid in the Amazon States Language');
    expect(await bed.store.list('')).toEqual([]);
  });

  it('that answers what the contract does not allow fails with a name', async () => {
    const { execution } = await bedOf(workflowOf({ First: functionState() }, functions), {
      collect: async () => ({ models: 3 }),
    }).run();
    expect(await execution.ended).toMatchObject({ status: 'FAILED', error: 'PermanentError' });
    expect((await execution.ended).cause).toContain('payload of collect, models');
  });
});

describe('a Map of container tasks', () => {
  it('runs every item, no more at once than there are slots, and none is fine', async () => {
    const log = fileIn('map.log');
    // The first one ends when another has begun beside it.
    const path = entryPoint(
      'map',
      `log('begin ' + word('shard'));
      while (readFileSync(process.env.TEST_LOG, 'utf8').split('begin').length < 3) await wait(10);
      log('end ' + word('shard'));`,
    );
    const host = hostOf(path, { TEST_LOG: log }, 2);
    const { events } = await bedOf(withShards([0, 1, 2, 3, 4], mapOver(taskState())), { host }).run();
    expect(
      events
        .filter(({ type }) => type === 'MapItemSucceeded')
        .map(({ index }) => index)
        .sort(),
    ).toEqual([0, 1, 2, 3, 4]);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    let running = 0;
    const most = Math.max(
      ...lines.map((line) => {
        running += line.startsWith('begin') ? 1 : -1;
        return running;
      }),
    );
    expect({ lines: lines.length, most }).toEqual({ lines: 10, most: 2 });
    const empty = await bedOf(withShards([], mapOver(taskState()))).run();
    expect(await empty.execution.ended).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('stops its other items where one fails for good, with the reason that the process gave', async () => {
    const log = fileIn('stop.log');
    const path = entryPoint(
      'stop',
      `
      if (word('shard') === '1') { while (!existsSync(process.env.TEST_LOG)) await wait(20); console.error(JSON.stringify({ error: 'MalformedFileError', message: 'value of edit 7: finite, got NaN' })); process.exit(64); }
      process.on('SIGTERM', () => { log('terminated ' + word('shard')); process.exit(1); });
      log('begin ' + word('shard')); await wait(${1000 * patienceSeconds});`,
    );
    const Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Failed', ResultPath: '$.error' }];
    const workflow = withShards([0, 1, 2, 3], mapOver(taskState(), { Catch }), {
      Failed: { Type: 'Fail', ErrorPath: '$.error.Error', CausePath: '$.error.Cause' },
    });
    const { execution } = await bedOf(workflow, { host: hostOf(path, { TEST_LOG: log }, 2) }).run();
    expect(await execution.ended).toMatchObject({
      status: 'FAILED',
      error: 'PermanentError',
      cause: 'value of edit 7: finite, got NaN',
    });
    expect(readFileSync(log, 'utf8')).toBe('begin 0\nterminated 0\n');
  });
});

describe('a container task', () => {
  const one = (fields = {}) =>
    workflowOf(
      { Begin: { Type: 'Pass', Parameters: { shard: 7 }, Next: 'First' }, First: taskState(fields) },
      { tasks: { First: task } },
    );

  it('is tried again where it fails or is killed, and every failed attempt is in the history', async () => {
    const log = fileIn('retry.log');
    const path = entryPoint(
      'retry',
      `
      log('attempt');
      const attempts = readFileSync(process.env.TEST_LOG, 'utf8').trim().split('\\n').length;
      if (attempts === 1) { console.error('disk: space, got none'); process.exit(1); }
      if (attempts === 2) process.kill(process.pid, 'SIGKILL');`,
    );
    const { execution, events } = await bedOf(one(), { host: hostOf(path, { TEST_LOG: log }) }).run();
    expect(await execution.ended).toMatchObject({ status: 'SUCCEEDED' });
    expect(events.filter(({ type }) => type === 'TaskAttemptFailed')).toMatchObject([
      {
        state: 'First',
        error: 'States.TaskFailed',
        cause: 'disk: space, got none',
        detail: { attempt: 1, command: ['values', '--shard', '7'] },
      },
      { cause: 'values: signal SIGKILL', detail: { attempt: 2 } },
    ]);
  });

  it('fails as AWS Batch does when its attempts are used up, and as a timeout where it takes too long', async () => {
    const failed = await bedOf(one(), { host: hostOf(entryPoint('fail', 'process.exit(1)')) }).run();
    expect(await failed.execution.ended).toMatchObject({ error: 'States.TaskFailed', cause: 'values: exit code 1' });
    expect(failed.events.filter(({ type }) => type === 'TaskAttemptFailed')).toHaveLength(3);
    const slow = workflowOf(
      { Begin: { Type: 'Pass', Parameters: { shard: 7 }, Next: 'First' }, First: taskState() },
      { tasks: { First: { ...task, attempts: 1, timeoutSeconds: 0.3 } } },
    );
    const late = await bedOf(slow, { host: hostOf(entryPoint('slow', `await wait(${1000 * patienceSeconds})`)) }).run();
    expect(await late.execution.ended).toMatchObject({ error: 'States.Timeout' });
  });

  it('that says that its machine lacks something fails with that name, which no round is blamed for', async () => {
    const lacking = `console.error(JSON.stringify({ error: 'Error', message: 'no space' })); process.exit(75);`;
    const { execution } = await bedOf(one(), { host: hostOf(entryPoint('lacking', lacking)) }).run();
    expect(await execution.ended).toMatchObject({ error: 'MachineError', cause: 'no space' });
  });

  it('is terminated where the execution is aborted, and no further state is entered', async () => {
    const log = fileIn('abort.log');
    const path = entryPoint(
      'abort',
      `process.on('SIGTERM', () => { log('terminated'); process.exit(1); }); log('begin'); await wait(${1000 * patienceSeconds});`,
    );
    const { End: _, ...first } = taskState({ Catch: [{ ErrorEquals: ['States.ALL'], Next: 'After' }], Next: 'After' });
    const Begin = { Type: 'Pass', Parameters: { shard: 7 }, Next: 'First' };
    const workflow = workflowOf({ Begin, First: first, After: { Type: 'Succeed' } }, { tasks: { First: task } });
    const bed = bedOf(workflow, { host: hostOf(path, { TEST_LOG: log }) });
    const running = bed.run();
    await expect.poll(() => existsSync(log)).toBe(true);
    await bed.workflow.stop();
    const { execution, events } = await running;
    expect(await execution.ended).toMatchObject({ status: 'ABORTED' });
    expect(readFileSync(log, 'utf8')).toBe('begin\nterminated\n');
    expect(typesOf(events)).not.toContain('StateEntered After');
    expect(await bed.workflow.isRunning(execution.id)).toBe(false);
    await expect(bed.workflow.start({ trigger: 'run', objectKey: '', modelId: '' })).rejects.toThrow('got stopped');
  });
});

describe('executions side by side', () => {
  it('are running until they end, whoever asks', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const bed = bedOf(workflowOf({ First: functionState() }, functions), {
      collect: async () => {
        await gate;
        return { models: [], started: 0 };
      },
    });
    const input = { trigger: 'run', objectKey: '', modelId: 'tiny' } as const;
    const ids = [await bed.workflow.start(input), await bed.workflow.start(input)];
    expect(await Promise.all(ids.map((id) => bed.workflow.isRunning(id)))).toEqual([true, true]);
    const other = bedOf(workflowOf({ First: functionState() }, functions), { store: bed.store });
    expect(await other.workflow.isRunning(ids[0])).toBe(true);
    release();
    await bed.workflow.idle();
    expect(await Promise.all(ids.map((id) => other.workflow.isRunning(id)))).toEqual([false, false]);
    expect(await other.workflow.isRunning('local:unknown')).toBe(false);
  });

  it('hold no model any more when they have ended, even where a full disk takes no record of it', async () => {
    const memory = new MemoryObjectStore();
    let isFull = false;
    const store = withFaultyWrites(memory, async (write) => {
      if (isFull) throw new StoreUnavailableError('store', 'ENOSPC');
      return write();
    });
    const bed = bedOf(workflowOf({ First: functionState() }, functions), {
      store,
      collect: async () => {
        isFull = true;
        return { models: [], started: 0 };
      },
    });
    const { execution } = await bed.run();
    expect(await execution.ended).toMatchObject({ status: 'SUCCEEDED' });
    const isRunning = (id: string) => bed.workflow.isRunning(id);
    expect(await isRunning(execution.id)).toBe(false);
    await acquireLease(memory, 'tiny', { owner: execution.id, isRunning });
    expect(await acquireLease(memory, 'tiny', { owner: 'next', isRunning })).toMatchObject({ acquired: true });
    isFull = false;
    await execution.stored;
    expect((await readExecution(memory, execution.name))?.result).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('announce what they say below events/', async () => {
    const First = {
      Type: 'Task',
      Resource: 'arn:aws:states:::sns:publish',
      Parameters: { Message: 'version 1' },
      End: true,
    };
    const bed = bedOf(workflowOf({ First }, { services: { First: 'sns' } }));
    const { execution } = await bed.run();
    const [key] = await bed.store.list('events/');
    const event = JSON.parse(new TextDecoder().decode((await bed.store.get(key)).bytes));
    expect(event).toMatchObject({ service: 'sns', executionId: execution.id, parameters: { Message: 'version 1' } });
  });
});
