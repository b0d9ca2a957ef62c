import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { latest, registrationKey, S3ObjectStore } from '../../src/registry/index.js';
import { environmentNames } from '../../src/workflow/contract.js';
import { type Registration, registrationSchema } from '../../src/workflow/registration.js';
import { CommandLine, type CommandResult } from '../support/command-line.js';
import { DeployedWorkflow } from '../support/deployed-workflow.js';
import { type MotoServer, pythonWithMoto, startMoto } from '../support/moto-server.js';

const python = pythonWithMoto();
const tier = 'the workflow over S3 (moto)';
const name =
  python === undefined ? `${tier}, skipped because neither HOOKLINE_PYTHON nor python3 has moto[server]` : tier;

const aldermark = (...parts: string[]): string => join(import.meta.dirname, '../../examples/aldermark', ...parts);
const lines = readFileSync(aldermark('batches/round-1.jsonl'), 'utf8').trim().split('\n');
const modelId = 'aldermark';
const bucket = 'hookline-workflow';
const location = `s3://${bucket}/team/one`;

let folder: string;
let moto: MotoServer;
let aws: Record<string, string>;
let commandLine: CommandLine;
let deployed: DeployedWorkflow;
let store: S3ObjectStore;

const at = (file: string): string => join(folder, file);
const run = (...words: string[]): Promise<CommandResult> =>
  commandLine.run([...words, '--store', location], { ...aws, [environmentNames.cache]: at('cache') });

async function jsonOf<T>(...words: string[]): Promise<T> {
  const { exitCode, output, errors } = await run(...words, '--json');
  expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
  return JSON.parse(output) as T;
}

function writeBatch(file: string, from: number, to: number): string {
  writeFileSync(at(file), `${lines.slice(from, to).join('\n')}\n`);
  return at(file);
}

async function registration(): Promise<Registration> {
  const { bytes } = await store.get(registrationKey(modelId));
  return registrationSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

async function weightsOf({ source }: Registration) {
  if (source.kind !== 'store') throw new Error(`source of the model: store, got ${source.kind}`);
  return source.files.find((file) => file.name === 'model.safetensors')!;
}

async function setUp(pythonPath: string): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'hookline-s3-workflow-'));
  moto = await startMoto(pythonPath);
  const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' };
  aws = { AWS_ENDPOINT_URL: moto.endpoint, ...credentials };
  Object.assign(process.env, aws, { [environmentNames.store]: location });
  const client = new S3Client({ forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  store = new S3ObjectStore(bucket, 'team/one');
  deployed = await DeployedWorkflow.deploy({ ...aws, [environmentNames.store]: location });
  process.env[environmentNames.stateMachine] = deployed.stateMachineArn;
  deployed.cacheFolder = at('machine-1');
  commandLine = new CommandLine();
  // A shorter corpus: what is tried here is the way, not the result.
  writeFileSync(at('corpus.txt'), readFileSync(aldermark('corpus.txt'), 'utf8').slice(0, 60_000));
}

describe.skipIf(python === undefined)(name, () => {
  // One line says that the tier was skipped.
  if (python === undefined) return it('publishes', () => expect(python).toBeDefined());
  beforeAll(() => setUp(python));
  afterAll(async () => {
    commandLine?.remove();
    deployed?.remove();
    await moto?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  describeCommands();
  describeDeployed();
});

function describeCommands(): void {
  describe('on this machine', () => {
    it('registers the model with its files, and publishes a batch by tasks that download them', async () => {
      const options = ['--model', aldermark('model'), '--model-id', modelId, '--corpus', at('corpus.txt')];
      const { exitCode, output, errors } = await run(
        ...['run', '--batch', writeBatch('two.jsonl', 0, 2), ...options, '--json'],
      );
      expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
      expect(JSON.parse(output)).toMatchObject({ versions: [{ version: 1 }], rejected: [] });
      const { source, modelDigest } = await registration();
      expect(source.kind).toBe('store');
      const downloaded = readFileSync(at(`cache/${modelDigest}/model.safetensors`));
      expect(downloaded.equals(readFileSync(aldermark('model/model.safetensors')))).toBe(true);
    });

    it('reads its versions from the store', async () => {
      expect(await jsonOf('verify')).toMatchObject({ modelId, version: 1, verified: true });
      const { exitCode, output } = await run('versions');
      expect({ exitCode, output }).toMatchObject({ exitCode: 0, output: expect.stringMatching(/\n\*? ?1 /) });
      const { subject, targetNew } = JSON.parse(lines[0]) as { subject: string; targetNew: string };
      const answer = await jsonOf<{ base: string; edited: string }>(
        ...['generate', `${subject} lives in`, '--model', aldermark('model'), '--model-id', modelId],
        ...['--max-tokens', '4'],
      );
      expect(answer.edited.trim()).toMatch(new RegExp(`^${targetNew}`));
      expect(answer.base).not.toContain(targetNew);
    });

    it('keeps the history of its execution there', async () => {
      const executions = await jsonOf<object[]>('executions');
      expect(executions).toMatchObject([{ modelId, status: 'SUCCEEDED', outcome: 'PUBLISHED', version: 1 }]);
    });
  });
}

const prefix = `models/${modelId}`;

function describeDeployed(): void {
  describe('by functions, jobs and Step Functions', () => {
    it('takes a file that is submitted, though the first execution is cut off and the event comes twice', async () => {
      const submitting = run('submit', writeBatch('one.jsonl', 2, 3), '--wait', '--json');
      await expect.poll(() => store.list('incoming/')).toHaveLength(1);
      const [objectKey] = await store.list('incoming/');
      const drop = { trigger: 'drop', objectKey, modelId: '' } as const;

      const first = await deployed.start(drop);
      const ingested = await deployed.call('ingest', { ...drop, executionId: first });
      expect(ingested).toMatchObject({ modelId, outcome: 'accepted', accepted: 1, rejected: 0, units: 1 });
      expect(await store.list('incoming/')).toEqual([]);
      expect(await store.list(`${prefix}/pending/`)).toHaveLength(1);
      expect(await receipts()).toHaveLength(2);
      const acquire = { action: 'acquire', executionId: first, modelId, fence: 0 };
      // Its fence is the second: the round on this machine had the first.
      expect(await deployed.call('lease', acquire)).toEqual({ acquired: true, fence: 2, owner: first });

      await deployed.start(drop);
      const [second] = await deployed.runStarted([first]);
      expect(second.path).toEqual(['Ingest', 'AcquireLease', 'NotifyPending']);
      expect(second.output).toMatchObject({
        // The file lies with its batch by now.
        ingest: { outcome: 'nothing' },
        lease: { acquired: false, owner: first },
        note: { outcome: 'PENDING' },
      });

      await deployed.stop(first);
      const collected = await deployed.call('collect', { trigger: 'schedule', modelId: '' });
      expect(collected).toEqual({ models: [modelId], started: 1 });
      const [third, ...more] = await deployed.runStarted();
      expect(more).toEqual([]);
      expect(third.failure).toBeUndefined();
      const tasks = ['ValuesShard', 'Solve', 'ValidateShard', 'Judge', 'Publish', 'Release', 'NotifyPublished'];
      expect(third.path).toEqual(['Ingest', 'AcquireLease', 'Plan', ...tasks, 'EmitEvent', 'Announce', 'Collect']);
      expect(third.output).toMatchObject({ publish: { outcome: 'published', version: 2 }, collect: { started: 0 } });
      expect(third.told).toMatchObject([
        { Entries: [{ DetailType: 'Round Ended', Detail: { outcome: 'PUBLISHED', version: 2 } }] },
        { Subject: 'hookline: PUBLISHED' },
      ]);

      const { exitCode, output, errors } = await submitting;
      expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
      expect(JSON.parse(output)).toMatchObject({ modelId, versions: [{ version: 2 }], rejected: [] });
    });

    it('leaves a complete version, which the same file dropped again does not change', async () => {
      const { etag } = (await latest(store, modelId))!;
      expect(await jsonOf('verify')).toMatchObject({ version: 2, verified: true });
      expect(await jsonOf<{ objectKey: string }>('submit', at('one.jsonl'))).toMatchObject({ modelId });
      const [objectKey] = await store.list('incoming/');
      await deployed.start({ trigger: 'drop', objectKey, modelId: '' });
      const [again] = await deployed.runStarted();
      expect(again.path).toEqual(['Ingest', 'AcquireLease', 'Plan', 'ReleaseNothing', 'NotifyNothing', 'Collect']);
      expect(again.output).toMatchObject({ ingest: { outcome: 'duplicate' }, note: { outcome: 'NOTHING' } });
      expect((await latest(store, modelId))?.etag).toBe(etag);
      expect(await store.list('incoming/')).toEqual([]);
    });

    it('sets a round aside that meets a damaged model, and publishes it once it is redriven', async () => {
      const { key, sha256 } = await weightsOf(await registration());
      const { bytes } = await store.get(key);
      await store.put(
        key,
        bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
      );
      deployed.cacheFolder = at('machine-2');
      await jsonOf('submit', writeBatch('last.jsonl', 3, 4));
      const [objectKey] = await store.list('incoming/');
      await deployed.start({ trigger: 'drop', objectKey, modelId: '' });
      const [failed, ...more] = await deployed.runStarted();
      expect(more).toEqual([]);
      expect(failed.failure?.error).toBe('States.TaskFailed');
      expect(JSON.parse(failed.failure?.cause ?? '')).toMatchObject({ Container: { ExitCode: 64 } });
      expect(failed.failure?.cause).toContain(sha256.slice(0, 12));
      expect(failed.path.slice(-6)).toEqual([
        'ValuesShard',
        'ReleaseFailed',
        'NotifyFailed',
        'EmitFailed',
        'AnnounceFailed',
        'CollectAfterFailure',
      ]);
      expect(await jsonOf('status')).toMatchObject({
        models: [{ modelId, latest: 2, pending: 0, failed: 1, roundId: null, heldBy: null }],
      });
      expect(existsSync(at(`machine-2/${(await registration()).modelDigest}`))).toBe(false);

      await store.put(key, bytes);
      expect(await run('redrive')).toMatchObject({
        exitCode: 64,
        errors: 'error: --state-machine: the ARN of the one that is to go on, got nothing\n',
      });
      const redriven = await run('redrive', '--state-machine', deployed.stateMachineArn);
      expect(redriven).toMatchObject({ exitCode: 0, output: `${modelId}: 1 quarantined, now pending again\n` });
      const [ended] = await deployed.runStarted();
      expect(ended.failure).toBeUndefined();
      expect(ended.output).toMatchObject({ trigger: 'run', publish: { outcome: 'published', version: 3 } });
      expect(await jsonOf('verify')).toMatchObject({ version: 3, verified: true });
      expect(await store.list(`${prefix}/pending/`)).toEqual([]);
    });
  });
}

const receipts = async () => (await store.list(`${prefix}/batches/`)).filter((key) => key.endsWith('/receipt.json'));
