import { beforeAll, describe, expect, it } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import { type WorkflowFile, workflowFile } from '../../cdk/workflow-file.js';
import { named, runScripted, type ScriptedRun, scriptedExecutionId } from '../support/scripted-workflow.js';

let workflow: WorkflowFile;
beforeAll(() => {
  workflow = workflowFile(synthesizedTemplate());
});

const drop = { trigger: 'drop', objectKey: 'incoming/m/batch.jsonl', modelId: '' };
const planKey = 'models/m/rounds/0123456789abcdef/fedcba9876543210/plan.json';
type Script = Parameters<typeof runScripted>[2];
const run = (script: Script = {}): Promise<ScriptedRun> => runScripted(workflow, drop, script);
const callsOf = ({ calls }: ScriptedRun, name: string) => calls.get(name) ?? [];
const telling = ['EmitEvent', 'Announce', 'Collect', 'Done'];
const toValues = [
  'Begin',
  'Ingest',
  'IsBatchRejected',
  'AcquireLease',
  'IsLeaseAcquired',
  'Plan',
  'HasRound',
  'FirstAttempt',
];
const toJudge = [...toValues, 'NeedsStatistics', 'Values', 'Solve', 'Validate', 'Judge', 'Decide'];

describe('an execution', () => {
  it('publishes a round: stage after stage, released before it is told', async () => {
    const ended = await run();
    expect(ended.failure).toBeUndefined();
    expect(ended.path).toEqual([...toJudge, 'Publish', 'Release', 'WasPublished', 'NotifyPublished', ...telling]);
    expect(ended.commands).toEqual([
      `values --plan ${planKey} --shard 0 --attempt 0`,
      `values --plan ${planKey} --shard 1 --attempt 0`,
      `solve --plan ${planKey} --shard 0 --attempt 0`,
      `validate --plan ${planKey} --shard 0 --attempt 0`,
    ]);
    expect(callsOf(ended, 'Ingest')).toEqual([{ ...drop, executionId: scriptedExecutionId }]);
    expect(callsOf(ended, 'Release')).toEqual([
      { action: 'release', executionId: scriptedExecutionId, modelId: 'm', fence: 7 },
    ]);
    expect(callsOf(ended, 'NotifyPublished')[0]).toMatchObject({ outcome: 'PUBLISHED', version: 3, cause: 'held' });
    expect(callsOf(ended, 'Collect')).toEqual([{ trigger: 'next', modelId: 'm' }]);
  });

  it('measures statistics where they are missing: every shard, then the merge, then values', async () => {
    const ended = await run({ Plan: [{ statisticsNeeded: true, statisticsShards: [0, 1, 2], valueShards: [] }] });
    expect(ended.path).toEqual([
      ...toValues,
      'NeedsStatistics',
      'Statistics',
      'MergeStatistics',
      ...toJudge.slice(toJudge.indexOf('Values')),
      ...['Publish', 'Release', 'WasPublished', 'NotifyPublished', ...telling],
    ]);
    expect(ended.commands.map((command) => command.replace(` --plan ${planKey}`, ''))).toEqual([
      'statistics --shard 0 --attempt 0',
      'statistics --shard 1 --attempt 0',
      'statistics --shard 2 --attempt 0',
      'merge --shard 0 --attempt 0',
      'solve --shard 0 --attempt 0',
      'validate --shard 0 --attempt 0',
    ]);
  });

  it('drops offenders twice, keeping the values, and publishes the third solve', async () => {
    const ended = await run({
      Judge: [
        { decision: 'repeat', attempt: 1, rejected: 1 },
        { decision: 'repeat', attempt: 2, rejected: 2 },
        { decision: 'publish', attempt: 2, rejected: 2 },
      ],
    });
    expect(ended.failure).toBeUndefined();
    const attemptsOf = (stage: string) =>
      ended.commands.filter((one) => one.startsWith(stage)).map((one) => one.split(' --attempt ')[1]);
    expect(attemptsOf('solve')).toEqual(['0', '1', '2']);
    expect(attemptsOf('validate')).toEqual(['0', '1', '2']);
    expect(attemptsOf('values')).toEqual(['0', '0']);
    expect(callsOf(ended, 'Judge').map(({ attempt }) => attempt)).toEqual([0, 1, 2]);
    expect(callsOf(ended, 'Publish')).toMatchObject([{ action: 'publish', attempt: 2 }]);
  });

  it('writes a rejection down and tells of it', async () => {
    const ended = await run({
      Judge: [{ decision: 'reject', attempt: 0, reason: 'locality 0.4' }],
      RejectRound: [{ outcome: 'rejected', version: 0, edits: 0, reason: 'locality 0.4' }],
      NotifyRejected: [{ outcome: 'REJECTED', version: 0 }],
    });
    expect(ended.failure).toBeUndefined();
    expect(ended.path.slice(toJudge.length)).toEqual([
      'RejectRound',
      'Release',
      'WasPublished',
      'NotifyRejected',
      ...telling,
    ]);
    expect(callsOf(ended, 'RejectRound')).toMatchObject([{ action: 'reject', reason: 'locality 0.4' }]);
    expect(callsOf(ended, 'NotifyRejected')).toMatchObject([{ outcome: 'REJECTED', cause: 'locality 0.4' }]);
    expect(callsOf(ended, 'EmitEvent')).toMatchObject([
      { Entries: [{ Source: 'hookline', DetailType: 'Round Ended', Detail: { outcome: 'REJECTED' } }] },
    ]);
    expect(callsOf(ended, 'Announce')).toMatchObject([{ Subject: 'hookline: REJECTED', Message: 's - m' }]);
  });

  it('leaves its edits pending while another holds the model, without a word to the outside', async () => {
    const ended = await run({ AcquireLease: [{ acquired: false, owner: 'other' }] });
    expect(ended.path.slice(-3)).toEqual(['IsLeaseAcquired', 'NotifyPending', 'Done']);
    expect(callsOf(ended, 'NotifyPending')).toMatchObject([{ outcome: 'PENDING', modelId: 'm', roundId: '' }]);
    expect(ended.path).not.toContain('Plan');
  });

  it('releases and looks again where nothing is pending', async () => {
    const ended = await run({ Plan: [{ hasRound: false, roundId: '', planKey: '', valueShards: [], edits: 0 }] });
    expect(ended.path.slice(-5)).toEqual(['HasRound', 'ReleaseNothing', 'NotifyNothing', 'Collect', 'Done']);
  });

  it('ends a batch without a usable line as rejected, before any lease', async () => {
    const ended = await run({
      Ingest: [{ outcome: 'rejected', accepted: 0, rejected: 2, reason: '2 lines rejected' }],
    });
    expect(ended.failure).toBeUndefined();
    expect(ended.path).toEqual(['Begin', 'Ingest', 'IsBatchRejected', 'NotifyRejectedBatch', ...telling]);
    expect(callsOf(ended, 'NotifyRejectedBatch')).toMatchObject([{ outcome: 'REJECTED', cause: '2 lines rejected' }]);
  });

  it('tries again what may pass, and asks the service again', async () => {
    const ended = await run({
      Plan: [named('TransientError'), named('Lambda.TooManyRequestsException'), {}],
      Solve: [named('Batch.AWSBatchException'), {}],
      Announce: [named('States.TaskFailed'), {}],
    });
    expect(ended.failure).toBeUndefined();
    expect(callsOf(ended, 'Plan')).toHaveLength(3);
    expect(callsOf(ended, 'Solve')).toHaveLength(2);
    expect(callsOf(ended, 'Announce')).toHaveLength(2);
  });
});

describe('a moved base', () => {
  const stale = named('StaleBaseError', 'moved');

  it('is planned for again, up to three times', async () => {
    const ended = await run({ Publish: [stale, stale, stale, {}] });
    expect(ended.failure).toBeUndefined();
    expect(callsOf(ended, 'Plan')).toHaveLength(4);
    expect(callsOf(ended, 'Publish')).toHaveLength(4);
    expect(callsOf(ended, 'AcquireLease')).toHaveLength(1);
  });

  it('fails the round the fourth time, as publishing, and releases', async () => {
    const ended = await run({ Publish: [stale] });
    expect(callsOf(ended, 'Plan')).toHaveLength(4);
    expect(ended.failure).toEqual({ error: 'StaleBaseError', cause: 'moved' });
    expect(callsOf(ended, 'ReleaseFailed')).toHaveLength(1);
    expect(callsOf(ended, 'NotifyFailed')).toMatchObject([{ stage: 'publish', error: 'StaleBaseError' }]);
  });
});

/** Each state that may fail: the stage that the record names, and whether the lease is held then. */
const failing: [state: string, stage: string, isHeld: boolean, script?: Script][] = [
  ['Ingest', 'ingest', false],
  ['NotifyRejectedBatch', 'notify', false, { Ingest: [{ outcome: 'rejected' }] }],
  ['AcquireLease', 'lease', false],
  ['NotifyPending', 'notify', false, { AcquireLease: [{ acquired: false }] }],
  ['Plan', 'plan', true],
  ['ReleaseNothing', 'lease', true, { Plan: [{ hasRound: false }] }],
  ['NotifyNothing', 'notify', false, { Plan: [{ hasRound: false }] }],
  ['StatisticsShard', 'statistics', true, { Plan: [{ statisticsNeeded: true, statisticsShards: [0] }] }],
  ['MergeStatistics', 'merge', true, { Plan: [{ statisticsNeeded: true, statisticsShards: [0] }] }],
  ['ValuesShard', 'values', true],
  ['Solve', 'solve', true],
  ['ValidateShard', 'validate', true],
  ['Judge', 'judge', true],
  ['Publish', 'publish', true],
  ['RejectRound', 'publish', true, { Judge: [{ decision: 'reject' }] }],
  ['Release', 'lease', true],
  ['NotifyPublished', 'notify', false],
  ['NotifyRejected', 'notify', false, { Publish: [{ outcome: 'rejected' }] }],
  ['EmitEvent', 'emit', false],
  ['Announce', 'announce', false],
  ['Collect', 'collect', false],
];

describe('a failure', () => {
  it.each(
    failing,
  )('of %s is recorded as one of %s, and the lease is released if it is held', async (state, stage, isHeld, script) => {
    const ended = await run({ ...script, [state]: [named('PermanentError', `${state} broke`)] });
    expect(ended.failure).toEqual({ error: 'PermanentError', cause: `${state} broke` });
    expect(callsOf(ended, 'ReleaseFailed')).toHaveLength(isHeld ? 1 : 0);
    expect(callsOf(ended, 'NotifyFailed')).toMatchObject([
      { outcome: 'FAILED', stage, error: 'PermanentError', cause: `${state} broke`, executionId: scriptedExecutionId },
    ]);
    expect(ended.path.slice(-5)).toEqual([
      'NotifyFailed',
      'EmitFailed',
      'AnnounceFailed',
      'CollectAfterFailure',
      'Failed',
    ]);
  });

  it('of the last try is the one that is recorded, after six', async () => {
    const ended = await run({ Judge: [named('TransientError', 'no answer')] });
    expect(callsOf(ended, 'Judge')).toHaveLength(6);
    expect(callsOf(ended, 'NotifyFailed')).toMatchObject([
      { stage: 'judge', error: 'TransientError', cause: 'no answer' },
    ]);
  });

  it('stays the one it was where its handling fails too', async () => {
    const broken = named('PermanentError', 'also broken');
    const first = named('Unforeseen', 'the first');
    for (const state of ['ReleaseFailed', 'NotifyFailed', 'EmitFailed', 'AnnounceFailed', 'CollectAfterFailure']) {
      const ended = await run({ Judge: [first], [state]: [broken] });
      expect(ended.failure, state).toEqual({ error: 'Unforeseen', cause: 'the first' });
      expect(callsOf(ended, 'CollectAfterFailure'), state).toHaveLength(1);
    }
  });

  it('of every handler in turn leaves no state that the tests do not fail', () => {
    const failed = new Set(failing.map(([state]) => state));
    const handled = ['ReleaseFailed', 'NotifyFailed', 'EmitFailed', 'AnnounceFailed', 'CollectAfterFailure'];
    const all = [workflow.functions, workflow.tasks, workflow.services].flatMap((table) => Object.keys(table));
    expect(all.filter((name) => !failed.has(name) && !handled.includes(name))).toEqual([]);
  });
});
