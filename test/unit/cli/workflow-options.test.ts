import { describe, expect, it } from 'vitest';
import { collectModel, parseInterval } from '../../../src/cli/options/workflow-options.js';
import { hooklineProgram } from '../../../src/cli/program.js';

describe('the interval of --schedule', () => {
  it.each([
    ['30s', 30],
    ['5m', 300],
    ['2h', 7200],
    ['off', undefined],
  ])('%s is %s seconds', (text, seconds) => {
    expect(parseInterval(text)).toBe(seconds);
  });

  it.each(['', '5', '0s', 'm', '-1s', '1.5h', '1d', '9999h', '5 m'])('is never %j', (text) => {
    expect(() => parseInterval(text)).toThrow('--schedule: off or an interval such as 30s, 5m or 2h');
  });
});

describe('the models of `hookline up`', () => {
  it('are directories, with an id before them where that is not the name of the folder', () => {
    const models = ['small=./a/model', './b=c', '/d'].reduce<ReturnType<typeof collectModel>>(
      (earlier, text) => collectModel(text, earlier),
      [],
    );
    expect(models).toEqual([{ modelId: 'small', directory: './a/model' }, { directory: './b=c' }, { directory: '/d' }]);
  });
});

describe('the commands of the workflow', () => {
  const parsed = async (...words: string[]): Promise<Record<string, unknown>> => {
    const program = await hooklineProgram();
    const command = program.commands.find((one) => one.name() === words[0])!;
    let options: Record<string, unknown> = {};
    command.action((...values: unknown[]) => {
      options = command.opts();
      expect(values.at(-1)).toBe(command);
    });
    await program.parseAsync(['node', 'hookline', ...words]);
    return options;
  };

  it('take what the machine and the registration of models need', async () => {
    const registration = ['--corpus', 'c.txt', '--round-size', '20', '--set', 'layers=[2]', '--no-compare-gates'];
    expect(
      await parsed('up', '--model', 'a=b', '--model', 'c', '--schedule', '5m', '--tasks', '3', ...registration),
    ).toMatchObject({
      model: [{ modelId: 'a', directory: 'b' }, { directory: 'c' }],
      schedule: 300,
      tasks: 3,
      corpus: 'c.txt',
      roundSize: 20,
      set: ['layers=[2]'],
      compareGates: false,
    });
    expect(await parsed('up')).toMatchObject({ store: './hookline-store', device: 'auto' });
    expect(await parsed('up')).not.toHaveProperty('compareGates');
    expect(await parsed('up', '--compare-gates')).toMatchObject({ compareGates: true });
    expect(await parsed('run', '--batch', 'a.jsonl', 'b.jsonl', '--json')).toMatchObject({
      batch: ['a.jsonl', 'b.jsonl'],
      json: true,
    });
    expect(await parsed('redrive', '--state-machine', 'arn')).toMatchObject({ stateMachine: 'arn' });
    expect(await parsed('submit', 'a.jsonl', '--store', 's3://b', '--wait')).toMatchObject({
      store: 's3://b',
      wait: true,
    });
  });

  it.each([
    [['run'], "required option '--batch <files...>' not specified"],
    [['up', '--tasks', '0'], '--tasks: a whole number from 1 to 256'],
    [['up', '--schedule', 'often'], '--schedule'],
    [['execution'], "missing required argument 'id'"],
    [['status', '--limit', '0'], '--limit'],
  ])('refuse %j', async (words, message) => {
    const program = await hooklineProgram();
    await expect(program.parseAsync(['node', 'hookline', ...words])).rejects.toThrow(message);
  });
});
