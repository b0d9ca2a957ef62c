import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import type { SolveRecord, ValidationRecord } from '../../src/rounds/records.js';
import { environmentNames, exitCodes, type TaskStage } from '../../src/workflow/contract.js';
import { attemptKey, planKeyOf } from '../../src/workflow/plan/round-files.js';
import { ContainerEntry, type TaskEnd } from '../support/container-entry.js';
import { until } from '../support/patience.js';
import { damageFile, PlannedRounds } from '../support/planned-round.js';

let entry: ContainerEntry;
let rounds: PlannedRounds;
beforeAll(async () => {
  entry = new ContainerEntry();
  rounds = await PlannedRounds.open();
});
afterAll(() => {
  rounds.remove();
});

const { store, cache, device, memoryBudget } = environmentNames;

/** Starts a task with a budget in which each edit is a micro-batch of its own. */
function start(stage: TaskStage, planKey: string, shard = 0, attempt = 0) {
  const words = [stage, '--plan', planKey, '--shard', String(shard), '--attempt', String(attempt)];
  const place = { [store]: rounds.storeFolder, [cache]: rounds.cacheFolder };
  return entry.start(words, { ...place, [device]: 'cpu', [memoryBudget]: '1KiB' });
}

async function done(...words: Parameters<typeof start>): Promise<TaskEnd> {
  const end = await start(...words).ended;
  expect(end).toMatchObject({ exitCode: 0, errors: '' });
  return end;
}

const values = () => rounds.store.list('models/aldermark/values/');

describe('a task that asks for a GPU', () => {
  it('is told why there is none, once, and may be tried on another machine', async ({ skip }) => {
    const planKey = await rounds.plan({ shards: [[0]], edits: 1 });
    const words = ['statistics', '--plan', planKey];
    const place = { [store]: rounds.storeFolder, [cache]: rounds.cacheFolder, [device]: 'cuda' };
    const { exitCode, errors, lines } = await entry.start(words, place).ended;
    skip(exitCode === exitCodes.done, 'a machine without a GPU');
    expect(exitCode).toBe(exitCodes.retry);
    expect(JSON.stringify(lines) + errors).not.toContain('running on the CPU');
    const { error, message } = JSON.parse(errors) as { error: string; message: string };
    expect(error).toBe('TransientError');
    expect(message).toMatch(/^device cuda: one that loads on this machine, got .*[Ff]ailed to load shared library: ./);
  });
});

describe('a round by the container', () => {
  it('is computed stage by stage, and every stage does nothing the second time', async () => {
    const planKey = await rounds.plan({ statisticsShards: 2, shards: [[0, 1], [2]], edits: 3 });
    const stages: [TaskStage, number][] = [
      ...[['statistics', 0] as const, ['statistics', 1] as const, ['merge', 0] as const],
      ...[['values', 0] as const, ['values', 1] as const, ['solve', 0] as const],
      ...[['validate', 0] as const, ['validate', 1] as const],
    ].map(([stage, shard]): [TaskStage, number] => [stage, shard]);
    for (const [stage, shard] of stages) {
      const { lines } = await done(stage, planKey, shard);
      expect(lines).toContainEqual({ notice: 'computing on cpu' });
      const advances = lines.filter((line) => 'stage' in line);
      expect(advances.length).toBeGreaterThan(0);
      for (const advance of advances) {
        expect(advance).toMatchObject({
          stage: expect.any(String),
          done: expect.any(Number),
          unit: expect.any(String),
        });
        expect(advance.done).toBeLessThanOrEqual(advance.total as number);
      }
    }
    const solved = await rounds.record<SolveRecord>(planKey, 'solve.json');
    expect(solved.editIds).toEqual(rounds.edits.slice(0, 3).map(({ id }) => id));
    const validated = await rounds.record<ValidationRecord>(planKey, 'validation-0.json');
    expect(validated.measurements.map(({ reliability }) => reliability)).toEqual([1, 1]);
    for (const [stage, shard] of stages.filter(([, shard]) => shard === 0)) {
      expect((await done(stage, planKey, shard)).lines).toEqual([]);
    }
  });
});

describe('a task that is stopped', () => {
  /** Stops the search for values once some are stored. Where a busy machine let it come to its end before, another one. */
  async function stopped(signal: 'SIGTERM' | 'SIGKILL', edits: number, firstSteps: number) {
    for (let attempt = 0; ; attempt++) {
      const planKey = await rounds.plan({ edits, settings: { steps: firstSteps + attempt, stopLoss: 0 } });
      const before = new Set(await values());
      const fresh = async () => (await values()).filter((key) => !before.has(key));
      const task = start('values', planKey);
      await until(async () => (await fresh()).length > 0 || task.process.exitCode !== null);
      task.process.kill(signal);
      const end = await task.ended;
      const isEarly = end.exitCode !== 0 && (await fresh()).length < edits;
      if (isEarly || attempt === 9) return { planKey, fresh, end };
    }
  }

  it('by SIGTERM stores what is finished and asks for another attempt, which does the rest', async () => {
    const { planKey, fresh, end } = await stopped('SIGTERM', 8, 20);
    expect(end.exitCode).toBe(1);
    expect(JSON.parse(end.errors)).toEqual({
      error: 'TransientError',
      message: 'task: time to finish its work, got SIGTERM',
    });
    const stored = await fresh();
    expect(stored.length).toBeGreaterThan(0);
    expect(stored.length).toBeLessThan(8);
    const times = () => stored.map((key) => statSync(join(rounds.storeFolder, key)).mtimeMs);
    const storedAt = times();
    await done('values', planKey);
    expect((await fresh()).length).toBe(8);
    expect(times()).toEqual(storedAt);
  });

  it('by SIGKILL loses the edit in work only', async () => {
    const { planKey, fresh, end } = await stopped('SIGKILL', 3, 10);
    expect(end.exitCode).toBeNull();
    const { lines } = await done('values', planKey);
    expect((await fresh()).length).toBe(3);
    expect(lines.find(({ stage }) => stage === 'values')!.total).toBeLessThan(3);
  });
});

describe('a task that cannot succeed', () => {
  const expectFailure = ({ exitCode, errors, lines }: TaskEnd, error: string, message: string) => {
    expect({ exitCode, lines }).toMatchObject({ exitCode: 64 });
    expect(errors).toMatch(/^[^\n]+\n$/);
    const told = JSON.parse(errors) as Record<string, string>;
    expect(Object.keys(told)).toEqual(['error', 'message']);
    expect(told.error).toBe(error);
    expect(told.message).toContain(message);
  };

  it('because a value is damaged says so in one line', async () => {
    const planKey = await rounds.plan({ edits: 1, settings: { steps: 2 } });
    const before = new Set(await values());
    await done('values', planKey);
    const value = (await values()).find((key) => !before.has(key))!;
    rounds.damage(value);
    expectFailure(await start('solve', planKey).ended, 'DigestMismatchError', value);
  });

  it('because it was called wrongly says so in one line', async () => {
    const environment = { [store]: rounds.storeFolder, [cache]: rounds.cacheFolder };
    expectFailure(await entry.start(['sleep', '--plan', 'x'], environment).ended, 'InvalidInputError', 'task stage');
    expectFailure(await start('values', '../plan.json').ended, 'InvalidInputError', 'the key of a plan');
    const absent = planKeyOf('aldermark', 'f'.repeat(16), 'f'.repeat(16));
    expectFailure(await start('values', absent).ended, 'NoSuchKeyError', absent);
  });

  it('because the model is another one says so in one line', async () => {
    const planKey = await rounds.plan({ edits: 1, settings: { steps: 3 } });
    const weights = join(rounds.modelDirectory, 'model.safetensors');
    damageFile(weights);
    expectFailure(await start('values', planKey).ended, 'DigestMismatchError', 'model aldermark in');
    damageFile(weights);
    await done('values', planKey);
    expect(await rounds.store.head(attemptKey(planKey, 0, 'solve.json'))).toBeUndefined();
  });
});

describe.runIf(process.getuid?.() === 0)('a user that the machine does not know', () => {
  it('runs a task that reads from S3 all the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-anybody-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(inject('programs'), folder, { recursive: true });
    chmodSync(folder, 0o755);
    const words = ['dist/containers/main.js', 'solve', '--plan', planKeyOf('m', 'a'.repeat(16), 'b'.repeat(16))];
    const nobody = { uid: 54_321, gid: 54_321 };
    const env = { AWS_EC2_METADATA_DISABLED: 'true', AWS_REGION: 'eu-west-1', [store]: 's3://hookline-nowhere' };
    const { stderr, status } = spawnSync(process.execPath, words, { ...nobody, env, cwd: folder, encoding: 'utf8' });
    expect(stderr).not.toContain('uv_os_homedir');
    expect(JSON.parse(stderr)).toMatchObject({ message: expect.stringMatching(/credential/i) });
    expect(status).toBe(exitCodes.permanent);
  });
});

describe('the image', () => {
  const instructions = readFileSync('containers/Dockerfile', 'utf8')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name, ...words] = line.split(/\s+/);
      return { name, words, text: words.join(' ') };
    });
  const named = (name: string) => instructions.filter((instruction) => instruction.name === name);

  it('knows every instruction, and stands on exact versions only', () => {
    const known = 'ARG FROM WORKDIR COPY RUN VOLUME ENV STOPSIGNAL HEALTHCHECK USER ENTRYPOINT'.split(' ');
    expect(instructions.filter(({ name }) => !known.includes(name))).toEqual([]);
    const stages = named('FROM').map(({ words }) => words[2]);
    const images = named('FROM').map(({ words }) => words[0]);
    const foreign = images.filter((image) => !stages.includes(image) && !image.includes('VARIANT'));
    expect(foreign).toHaveLength(2);
    for (const image of foreign) expect(image).toMatch(/^[a-z/]+:\d+\.\d+\.\d+-[a-z0-9.-]+(@sha256:[0-9a-f]{64})?$/);
    expect(foreign.find((image) => image.includes('cuda'))).toMatch(/:12\.\d+\.\d+-cudnn-runtime-/);
    expect(foreign.find((image) => image.startsWith('node:'))).toMatch(/^node:22\./);
    expect(readFileSync('containers/Dockerfile', 'utf8')).not.toContain('latest');
    for (const variant of ['cuda', 'cpu']) {
      expect(stages).toEqual(expect.arrayContaining([`base-${variant}`, `tensorflow-${variant}`]));
    }
  });

  it('runs Node.js itself, as an ordinary user, with nothing but what it needs', () => {
    const last = instructions.slice(instructions.lastIndexOf(named('FROM').at(-1)!));
    const one = (name: string) => last.filter((instruction) => instruction.name === name).map(({ text }) => text);
    expect(one('USER')).toEqual(['1000:1000']);
    expect(one('ENTRYPOINT').map((text) => JSON.parse(text))).toEqual([['node', '/app/dist/containers/main.js']]);
    expect(one('HEALTHCHECK')).toEqual(['NONE']);
    expect(one('VOLUME')).toEqual(['/cache']);
    expect(one('ENV')[0]).toContain(`${cache}=/cache`);
    expect(one('ENV')[0]).toContain('HOME=/tmp');
    expect(one('RUN').at(-1)).toMatch(/find \/ -xdev -type f -perm \/6000 -exec chmod a-s \{\} \+$/);
    expect(named('COPY').filter(({ words }) => words.includes('.') || words.includes('..'))).toEqual([]);
    const secret = /secret|token|password|credential|access_?key|\.npmrc/i;
    expect(instructions.filter(({ text }) => secret.test(text))).toEqual([]);
    const runs = named('RUN').map(({ text }) => text);
    expect(
      runs.some((text) => /npm ci --omit=dev/.test(text) && text.includes('ONNXRUNTIME_NODE_INSTALL=cuda12')),
    ).toBe(true);
    expect(runs.filter((text) => /npm (install|i) |curl|wget|\| ?(ba)?sh/.test(text))).toEqual([]);
  });

  it('is not built where a library that the CUDA provider needs is missing', () => {
    const check = named('RUN').find(({ text }) => text.includes('ldd'))!;
    expect(instructions.indexOf(check)).toBeGreaterThan(instructions.lastIndexOf(named('FROM').at(-1)!));
    const folder = mkdtempSync(join(tmpdir(), 'hookline-ldd-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    // Only what looks at libraries: the rest of the step changes the whole file system.
    const [script] = check.text.split('; find /');
    const built = (variant: string, told: string, status = 0) => {
      writeFileSync(join(folder, 'ldd'), `#!/bin/sh\ncat <<'END'\n${told}\nEND\nexit ${status}\n`, { mode: 0o755 });
      const env = { PATH: `${folder}:${process.env.PATH}`, VARIANT: variant };
      return spawnSync('sh', ['-c', script], { env, encoding: 'utf8' });
    };
    const found = 'libcublas.so.12 => /usr/local/cuda/lib64/libcublas.so.12 (0x00007f)\nlibcuda.so.1 => not found';
    expect(built('cuda', found)).toMatchObject({ status: 0, stderr: '' });
    const lacking = built('cuda', `${found}\nlibcublasLt.so.13 => not found`);
    expect(lacking.status).toBe(1);
    expect(lacking.stderr).toContain('libonnxruntime_providers_cuda.so: libcublasLt.so.13 => not found');
    expect(built('cuda', '', 1).status).toBe(1);
    expect(built('cpu', '', 1).status).toBe(0);
  });

  it('is built of files that its context holds', () => {
    const context = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(context[0]).toBe('*');
    const local = named('COPY').filter(({ words }) => !words[0].startsWith('--from'));
    for (const path of local.flatMap(({ words }) => words.slice(0, -1))) {
      const holds = (line: string) => `!${path}/`.startsWith(`${line}/`);
      expect(context.some(holds), path).toBe(true);
      expect(existsSync(path), path).toBe(true);
    }
    const sources = named('COPY').flatMap(({ words }) => /^--from=(.+)$/.exec(words[0])?.[1] ?? []);
    expect(named('FROM').map(({ words }) => words[2])).toEqual(expect.arrayContaining(sources));
  });
});
