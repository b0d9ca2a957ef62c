import { describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../../../src/errors.js';
import {
  ExecutionHistory,
  executionIdOf,
  isExecutionRunning,
  listExecutions,
  newExecutionName,
  readExecution,
  readHistory,
  reapExecutions,
} from '../../../src/local/execution-history.js';
import { executionKey, processIdentity } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { withFaultyWrites } from '../../support/faulty-object-store.js';

const input = { trigger: 'drop', objectKey: 'incoming/tiny/a.jsonl', modelId: '' } as const;
const at = (second: number) => new Date(Date.UTC(2026, 2, 1, 9, 0, second));
const entered = (second: number, state: string) =>
  ({ at: at(second).toISOString(), type: 'StateEntered', state }) as const;

describe('the history of an execution', () => {
  it('is in the store at every moment, in its order, and its end is written once', async () => {
    const store = new MemoryObjectStore();
    const name = newExecutionName(at(0));
    const history = await ExecutionHistory.begin(store, name, input, at(0));
    expect(await isExecutionRunning(store, executionIdOf(name))).toBe(true);
    const states = Array.from({ length: 30 }, (_, second) => entered(second, `State ${second}`));
    for (const event of states) {
      history.append(event);
      const stored = await readHistory(store, name);
      expect(stored).toEqual(states.slice(0, stored.length));
    }
    const end = {
      schemaVersion: 1,
      status: 'SUCCEEDED',
      endedAt: at(31).toISOString(),
      error: '',
      cause: '',
      note: null,
    } as const;
    await history.end(end);
    await history.end({ ...end, status: 'FAILED' });
    expect(await readHistory(store, name)).toEqual(states);
    expect(await readExecution(store, name)).toMatchObject({
      name,
      input,
      startedAt: at(0).toISOString(),
      result: end,
    });
    history.over();
    expect(await isExecutionRunning(store, executionIdOf(name))).toBe(false);
  });

  it('is written as soon as the store takes writes again, and holds nobody up until then', async () => {
    const memory = new MemoryObjectStore();
    let isFull = false;
    const disk = withFaultyWrites(memory, async (write) => {
      if (isFull) throw new StoreUnavailableError('store', 'ENOSPC');
      return write();
    });
    const history = await ExecutionHistory.begin(disk, 'a', input, at(0));
    history.append(entered(0, 'First'));
    await expect.poll(() => readHistory(memory, 'a')).toHaveLength(1);
    isFull = true;
    history.append(entered(1, 'Second'));
    expect(await isExecutionRunning(memory, executionIdOf('a'))).toBe(true);
    const end = { schemaVersion: 1, status: 'FAILED', endedAt: at(2).toISOString(), error: 'MachineError' } as const;
    history.over();
    const stored = history.end({ ...end, cause: '', note: null });
    expect(await isExecutionRunning(memory, executionIdOf('a'))).toBe(false);
    expect((await readExecution(memory, 'a'))?.result).toBeUndefined();
    isFull = false;
    await stored;
    expect((await readHistory(memory, 'a')).map(({ state }) => state)).toEqual(['First', 'Second']);
    expect((await readExecution(memory, 'a'))?.result).toMatchObject({ status: 'FAILED', error: 'MachineError' });
  });
});

describe('executions', () => {
  it('have names that sort by time, and are listed so', async () => {
    const store = new MemoryObjectStore();
    const names = [3, 1, 2].map((second) => newExecutionName(at(second)));
    for (const name of names) await ExecutionHistory.begin(store, name, input, at(0));
    expect((await listExecutions(store)).map(({ name }) => name)).toEqual([...names].sort());
    expect(names[1]).toMatch(/^20260301T090001000-[0-9a-f]{8}$/);
  });

  it('whose process has ended are marked as aborted, others are left alone', async () => {
    const store = new MemoryObjectStore();
    const dead = (await processIdentity()).split('.').with(2, '4194305').join('.');
    const start = {
      schemaVersion: 1,
      executionId: executionIdOf('dead'),
      input,
      startedAt: at(0).toISOString(),
      process: dead,
    };
    await store.put(executionKey('dead', 'execution.json'), new TextEncoder().encode(JSON.stringify(start)));
    const history = { schemaVersion: 1, events: [entered(5, 'Values')] };
    await store.put(executionKey('dead', 'history.json'), new TextEncoder().encode(JSON.stringify(history)));
    await ExecutionHistory.begin(store, 'alive', input, at(1));
    expect(await isExecutionRunning(store, executionIdOf('dead'))).toBe(false);
    expect(await reapExecutions(store)).toEqual(['dead']);
    expect(await reapExecutions(store)).toEqual([]);
    const { result } = (await readExecution(store, 'dead'))!;
    expect(result).toMatchObject({ status: 'ABORTED', endedAt: at(5).toISOString(), error: 'ProcessEnded' });
  });

  it('elsewhere count as running: nothing is known of them', async () => {
    expect(await isExecutionRunning(new MemoryObjectStore(), 'arn:aws:states:eu-west-1:1:execution:m:n')).toBe(true);
  });
});
