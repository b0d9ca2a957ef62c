import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandLine } from '../support/command-line.js';

const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const lines = readFileSync(aldermark('batches/round-1.jsonl'), 'utf8').trim().split('\n');

let commandLine: CommandLine;
let folder: string;
let store: string[];
let registration: string[];
beforeAll(() => {
  commandLine = new CommandLine();
  folder = mkdtempSync(join(tmpdir(), 'hookline-workflow-'));
  store = ['--store', at('store')];
  // A shorter corpus: what is tried here is the way, not the result.
  writeFileSync(at('corpus.txt'), readFileSync(aldermark('corpus.txt'), 'utf8').slice(0, 60_000));
  registration = ['--model', aldermark('model'), '--model-id', 'aldermark', '--corpus', at('corpus.txt')];
});
afterAll(() => {
  commandLine.remove();
  rmSync(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);
const run = (...words: string[]) => commandLine.run([...words, ...store]);

async function jsonOf<T>(...words: string[]): Promise<T> {
  const { exitCode, output, errors } = await run(...words, '--json');
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as T;
}

interface ListedExecution {
  readonly name: string;
  readonly modelId: string;
  readonly status: string;
  readonly outcome: string | null;
  readonly version: number | null;
  readonly input: { readonly trigger: string };
}

describe('the workflow on the bundled model', () => {
  it('makes two rounds of one file, each its own execution, and shows what they did', async () => {
    writeFileSync(at('four.jsonl'), `${lines.slice(0, 4).join('\n')}\n{"subject": "nobody"}\n`);
    const { exitCode, output, errors } = await run(
      'run',
      '--batch',
      at('four.jsonl'),
      '--round-size',
      '2',
      ...registration,
    );
    expect(errors).toContain('four.jsonl, line 5: prompt');
    expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
    for (const said of [
      'Ingest          4 edits accepted for 2 rounds',
      'Statistics',
      'Values',
      'Solve',
      'Validate',
      'Publish         version 2',
    ]) {
      expect(errors).toContain(said);
    }
    expect(output).toMatch(/^\nversion +new +reliability/);
    expect(output).toMatch(/\n +1 +2 +[01]\.\d{3} [^\n]*\n +2 +2 +[01]\.\d{3} /);
    expect(output).toMatch(/Doskymo Honnix lives in\n {2}before {2}Gorsend\.\n {2}after {3}Lamsworth\./);
    const report = /report: (.*)\n/.exec(output)?.[1] ?? '';
    expect(readFileSync(report, 'utf8')).toContain('<html');
  });

  it('keeps a history of every execution', async () => {
    const executions = await jsonOf<ListedExecution[]>('executions');
    expect(executions.map(({ input, status, outcome, version }) => [input.trigger, status, outcome, version])).toEqual([
      ['run', 'SUCCEEDED', 'PUBLISHED', 1],
      ['next', 'SUCCEEDED', 'PUBLISHED', 2],
    ]);
    const table = await run('executions', '--limit', '1');
    expect(table.output).toContain(executions[1].name);
    expect(table.output).not.toContain(executions[0].name);
    const { output } = await run('execution', executions[0].name.slice(-8));
    for (const state of [
      'Ingest',
      'AcquireLease',
      'Plan',
      'Statistics',
      'MergeStatistics',
      'Values',
      'Solve',
      'Validate',
      'Judge',
      'Publish',
      'Release',
      'Collect',
    ]) {
      expect(output).toMatch(new RegExp(`\n${state} .* s `));
    }
    expect(output).toMatch(/\n {2}ValuesShard +0 /);
    const { states, events } = await jsonOf<{
      states: { seconds: number | null; error: string | null }[];
      events: { at: string }[];
    }>('execution', executions[1].name);
    expect(states.every(({ seconds, error }) => seconds !== null && error === null)).toBe(true);
    expect(events.map(({ at: time }) => time)).toEqual(events.map(({ at: time }) => time).sort());
  });

  it('says what it did with a batch that was dropped before', async () => {
    const { exitCode, output } = await run('run', '--batch', at('four.jsonl'), '--json');
    expect(exitCode).toBe(0);
    const { versions } = JSON.parse(output) as { versions: { version: number }[] };
    expect(versions.map(({ version }) => version)).toEqual([1, 2]);
    expect(await jsonOf('status')).toMatchObject({
      models: [{ modelId: 'aldermark', latest: 2, waiting: 0, pending: 0, failed: 0, roundId: null, heldBy: null }],
    });
  });

  it('rejects a batch without a usable line, with a reason for each', async () => {
    writeFileSync(at('bad.jsonl'), 'not json\n{"subject": "a"}\n');
    const { exitCode, output, errors } = await run('run', '--batch', at('bad.jsonl'));
    expect({ exitCode, output }).toEqual({ exitCode: 64, output: '' });
    expect(errors).toContain('bad.jsonl, line 1: a JSON object, got text that is not JSON');
    expect(errors).toContain('bad.jsonl, line 2: prompt');
    expect(errors).toMatch(
      /\nerror: batch incoming\/aldermark\/bad\.jsonl: at least one acceptable edit, got none[^\n]*\n$/,
    );
    const last = (await jsonOf<ListedExecution[]>('executions')).at(-1);
    expect(last).toMatchObject({ status: 'SUCCEEDED', outcome: 'REJECTED', version: null });
  });

  it('names the models there are where another is meant', async () => {
    const { exitCode, errors } = await run('run', '--batch', at('four.jsonl'), '--model-id', 'nobody');
    expect({ exitCode, errors }).toEqual({
      exitCode: 64,
      errors: `error: model nobody: a registered model of store ${at('store')}, got aldermark\n`,
    });
    const missing = await run('run', '--batch', at('nothing.jsonl'));
    expect(missing).toMatchObject({
      exitCode: 64,
      errors: `error: batch ${at('nothing.jsonl')}: a readable file, got ENOENT\n`,
    });
  });

  it('knows the only model of a store again in whatever folder it lies', async () => {
    const { modelId } = await jsonOf<{ modelId: string }>(
      ...['stats', '--model', aldermark('model'), '--corpus', at('corpus.txt')],
    );
    expect(modelId).toBe('aldermark');
  });

  it('takes what a registration is made of only beside a model', async () => {
    const { exitCode, errors } = await run('run', '--batch', at('four.jsonl'), '--set', 'steps=1');
    expect({ exitCode, errors: errors.trim() }).toEqual({
      exitCode: 64,
      errors: 'error: --set: --model beside it: it is a part of the registration, got none',
    });
  });

  it('shares the criteria of its registration with `hookline edit`', async () => {
    const { subject, prompt } = JSON.parse(lines[5]) as { subject: string; prompt: string };
    const targetNew = 'violet seventeen umbrella lantern gravel oblique marmalade';
    writeFileSync(at('unheld.jsonl'), JSON.stringify({ subject, prompt, targetNew }));
    const model = [aldermark('model'), '--model-id', 'aldermark'];
    const edit = () => run('edit', at('unheld.jsonl'), '--model', ...model);
    expect(await edit()).toMatchObject({
      exitCode: 1,
      errors: expect.stringContaining('mean reliability: at least 0.9'),
    });
    const lenient = ['minReliability', 'minSaid', 'minRetention', 'editReliability', 'minKeptShare'].map(
      (of) => `${of}=0`,
    );
    expect(await run('model', 'register', ...model, '--require', ...lenient, 'editSaid=false')).toMatchObject({
      exitCode: 0,
    });
    expect(await edit()).toMatchObject({ exitCode: 0 });
  });

  it('names what it rejects, measures in part, or finds in the way of another edit, and publishes the rest', async () => {
    const { subject, prompt } = JSON.parse(lines[6]) as { subject: string; prompt: string };
    const [first, ...rest] = subject.split(' ');
    const long = 'w '.repeat(600);
    const records = [
      { id: 'one', subject, prompt, targetNew: 'Felmouth', testParaphrases: [long] },
      { id: 'other-name', subject: rest.join(' '), prompt: prompt.replace('{}', `${first} {}`), targetNew: 'Gorsend' },
      { id: 'overlong', subject: 'Pilkea Kunsa', prompt: `${long}{} lives in`, targetNew: 'Gorsend' },
    ];
    writeFileSync(at('mixed.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const { exitCode, errors } = await run('run', '--batch', at('mixed.jsonl'));
    expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
    for (const warning of [
      /^warning: .*mixed\.jsonl, line 3: prompt with its target: 1 to 512 tokens, got \d{3}$/m,
      /^warning: Edit one was measured without what the model does not take: testParaphrases\[0\]: 1 to 512 tokens, got \d{3}$/m,
      /^warning: The prompt of edit other-name \(.* -> Gorsend\) opens the gate of edit one \(.* -> Felmouth\)/m,
    ]) {
      expect(errors).toMatch(warning);
    }
    // Names in lower case are alike to the model, which is no reason to warn of a prompt.
    expect(errors.match(/opens the gate/g)).toHaveLength(1);
  });
});

describe('hookline up', () => {
  it('takes what is dropped, stops in order while a task runs, and goes on at the next start', async () => {
    const place = ['--store', at('watched')];
    const inbox = join(at('watched'), 'incoming/aldermark');
    const first = commandLine.start(['up', ...place, ...registration]);
    await expect.poll(() => existsSync(inbox)).toBe(true);
    mkdirSync(join(at('watched'), 'incoming/nobody'), { recursive: true });
    writeFileSync(join(at('watched'), 'incoming/nobody/x.jsonl'), lines[0]);
    const said = saidBy(first);
    const refused = 'incoming/nobody/x.jsonl: left where it is: a model that is registered, got nobody';
    await expect.poll(said).toContain(refused);
    appendFileSync(join(inbox, 'two.jsonl'), `${lines[0]}\n`);
    appendFileSync(join(inbox, 'two.jsonl'), `${lines[1]}\n`);
    await expect.poll(said).toMatch(/aldermark {2}Statistics/);
    first.kill('SIGINT');
    expect(await endOf(first)).toBe(0);
    const stopped = await commandLine.run(['executions', ...place]);
    expect(stopped.output).toMatch(/aldermark +drop +ABORTED/);
    expect(stopped.output).not.toContain('nobody');

    const second = commandLine.start(['up', ...place, '--schedule', '1s']);
    const saidLater = saidBy(second);
    await expect.poll(saidLater).toContain('hookline aldermark: version 1 published. 2 edits published.');
    second.kill('SIGTERM');
    expect(await endOf(second)).toBe(0);
    expect((await commandLine.run(['verify', ...place])).exitCode).toBe(0);
  });
});

type Started = ReturnType<CommandLine['start']>;

function saidBy(child: Started): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  return () => said;
}

const endOf = (child: Started): Promise<number | null> =>
  new Promise((resolve) => child.on('close', (exitCode) => resolve(exitCode)));
