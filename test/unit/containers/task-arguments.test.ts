import { describe, expect, it } from 'vitest';
import { parseEnvironment, parseTask } from '../../../containers/task-arguments.js';
import { InvalidInputError } from '../../../src/errors.js';

describe('the words of a task', () => {
  it('name stage, plan, shard and attempt, the last two 0 unless said otherwise', () => {
    const words = ['values', '--plan', 'models/m/plan.json', '--shard', '3', '--attempt', '1'];
    expect(parseTask(words)).toEqual({ stage: 'values', planKey: 'models/m/plan.json', shard: 3, attempt: 1 });
    expect(parseTask(['--plan=x', 'solve'])).toEqual({ stage: 'solve', planKey: 'x', shard: 0, attempt: 0 });
  });

  it.each([
    ['', 'stage: one of statistics, merge, values, solve, validate, got none'],
    ['values solve --plan x', 'stage: one of'],
    ['sleep --plan x', 'task stage'],
    ['values', 'task planKey'],
    ['values --plan', 'task: <stage> --plan <key> --shard <index> --attempt <number>'],
    ['values --plan x --shard -1', 'task: <stage> --plan'],
    ['values --plan x --shard 1e3', 'task shard'],
    ['values --plan x --attempt 9999999999', 'task attempt'],
    ['values --plan x --force', 'task: <stage> --plan'],
  ])('"%s" is refused', (words, message) => {
    const parse = () => parseTask(words.split(' ').filter((word) => word !== ''));
    expect(parse).toThrow(InvalidInputError);
    expect(parse).toThrow(message);
  });
});

describe('the environment of a task', () => {
  it('names store, cache, device and memory', () => {
    const variables = { HOOKLINE_STORE: 's3://bucket/x', HOOKLINE_CACHE: '/cache', HOOKLINE_DEVICE: 'cuda' };
    const given = { storeLocation: 's3://bucket/x', cacheFolder: '/cache', device: 'cuda' };
    expect(parseEnvironment(variables)).toEqual({ ...given, solver: { choice: 'auto' }, memoryBudgetBytes: undefined });
    const solving = { ...variables, HOOKLINE_SOLVER: 'tensorflow', HOOKLINE_TFJS: '/tfjs' };
    expect(parseEnvironment(solving).solver).toEqual({ choice: 'tensorflow', tensorflowFolder: '/tfjs' });
    const budget = (text: string) => parseEnvironment({ ...variables, HOOKLINE_MEMORY_BUDGET: text }).memoryBudgetBytes;
    expect(budget('2GiB')).toBe(2 ** 31);
    expect(budget('1.5 MiB')).toBe(1.5 * 2 ** 20);
    expect(budget('4096')).toBe(4096);
    expect(parseEnvironment({ HOOKLINE_STORE: 'x' })).toMatchObject({ device: 'auto' });
    expect(parseEnvironment({ HOOKLINE_STORE: 'x' }).cacheFolder).toMatch(/hookline$/);
  });

  it.each([
    [{}, 'HOOKLINE_STORE: s3://bucket[/prefix] or a folder, got nothing'],
    [{ HOOKLINE_STORE: 'x', HOOKLINE_DEVICE: 'abacus' }, 'HOOKLINE_DEVICE: one of auto, cpu, cuda, webgpu, got abacus'],
    [{ HOOKLINE_STORE: 'x', HOOKLINE_SOLVER: 'chalk' }, 'HOOKLINE_SOLVER: one of auto, onnx, tensorflow, got chalk'],
    [{ HOOKLINE_STORE: 'x', HOOKLINE_MEMORY_BUDGET: 'much' }, 'HOOKLINE_MEMORY_BUDGET: a size such as 2GiB'],
    [{ HOOKLINE_STORE: 'x', HOOKLINE_MEMORY_BUDGET: '0' }, 'HOOKLINE_MEMORY_BUDGET: a size'],
    [{ HOOKLINE_STORE: 'x', HOOKLINE_MEMORY_BUDGET: '99999999999GiB' }, 'HOOKLINE_MEMORY_BUDGET: a size'],
  ])('%j is refused', (variables, message) => {
    expect(() => parseEnvironment(variables)).toThrow(message);
  });
});
