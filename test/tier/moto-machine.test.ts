import { beforeAll, describe, expect, it } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import { type WorkflowFile, workflowFile } from '../../cdk/workflow-file.js';
import { type MotoRun, pythonWithMachine, runOnMoto } from '../support/moto-machine.js';
import { named, runScripted, type Script, type ScriptedRun } from '../support/scripted-workflow.js';

const python = pythonWithMachine();
const tier = 'two interpreters of the synthesized state machine';
const name =
  python === undefined ? `${tier}, skipped because neither HOOKLINE_PYTHON nor python3 has moto[stepfunctions]` : tier;

const drop = { trigger: 'drop', objectKey: 'incoming/m/batch.jsonl', modelId: '' };

/** An error as Lambda tells it. */
const thrown = (errorType: string, errorMessage: string): Error =>
  named(errorType, JSON.stringify({ errorType, errorMessage }));

const failedJob = named('States.TaskFailed', JSON.stringify({ Container: { ExitCode: 64 }, Status: 'FAILED' }));
const broken = thrown('PermanentError', 'also broken');
const service = named('Events.InternalFailure', 'no answer');

interface Case {
  /** What tasks answer on the way. */
  readonly script: Script;
  readonly fails?: true;
}

const cases: Readonly<Record<string, Case>> = {
  'publishes a round': { script: {} },
  'measures statistics first': {
    script: { Plan: [{ statisticsNeeded: true, statisticsShards: [0, 1, 2], valueShards: [] }] },
  },
  'drops offenders twice, and publishes the rest': {
    script: {
      Judge: [
        { decision: 'repeat', attempt: 1, rejected: 1 },
        { decision: 'repeat', attempt: 2, rejected: 2 },
        { decision: 'publish', attempt: 2, rejected: 2 },
      ],
    },
  },
  'rejects a round': {
    script: {
      Judge: [{ decision: 'reject', attempt: 0, reason: 'locality 0.4' }],
      RejectRound: [{ outcome: 'rejected', version: 0, edits: 0, reason: 'locality 0.4' }],
      NotifyRejected: [{ outcome: 'REJECTED', version: 0 }],
    },
  },
  'rejects a batch': {
    script: { Ingest: [{ outcome: 'rejected', accepted: 0, rejected: 2, reason: '2 lines rejected' }] },
  },
  'leaves edits pending': { script: { AcquireLease: [{ acquired: false, owner: 'other' }] } },
  'has nothing to do': {
    script: { Plan: [{ hasRound: false, roundId: '', planKey: '', valueShards: [], edits: 0 }] },
  },
  'plans again where the base moved': {
    script: { Publish: [thrown('StaleBaseError', 'moved'), thrown('StaleBaseError', 'moved'), {}] },
  },
  'tries again what may pass': {
    script: {
      Plan: [thrown('TransientError', 'no answer'), thrown('Lambda.TooManyRequestsException', 'slower'), {}],
      Solve: [named('Batch.AWSBatchException', 'slower'), {}],
    },
  },
  'fails where the base keeps moving': { script: { Publish: [thrown('StaleBaseError', 'moved')] }, fails: true },
  'fails before the lease': { script: { Ingest: [thrown('PermanentError', 'broken')] }, fails: true },
  'fails under the lease': { script: { Judge: [thrown('Unforeseen', 'broken')] }, fails: true },
  'fails after the last of six tries': { script: { Publish: [thrown('ConflictError', 'again')] }, fails: true },
  'fails with a job of a Map': {
    script: { Plan: [{ valueShards: [4] }], ValuesShard: [named('Batch.ClientException', 'no such queue')] },
    fails: true,
  },
  'fails with a service, after the release': { script: { EmitEvent: [service] }, fails: true },
  'fails, and so does all that handles it': {
    script: {
      Judge: [thrown('Unforeseen', 'the first')],
      ReleaseFailed: [broken],
      NotifyFailed: [broken],
      EmitFailed: [service],
      AnnounceFailed: [service],
      CollectAfterFailure: [broken],
    },
    fails: true,
  },
};

/** AWS's Fail state takes any string for the error; moto's takes none of the language's own. */
const refused = 'fails with a job';

/**
 * Neither interpreter was written for the other, so where they agree, the definition means what it says. What is the same
 * on both sides for want of more: tasks are scripted (moto's own Batch fails every job), pauses between tries are left
 * out, and a Map that fails has one item (only AWS stops the others), and not with a name that begins with `States.`, which
 * moto's Map does not pass on.
 */
describe.skipIf(python === undefined)(name, () => {
  let workflow: WorkflowFile;
  const here = new Map<string, ScriptedRun>();
  const there = new Map<string, MotoRun>();
  // One line says that the tier was skipped.
  if (python === undefined) return it('agree', () => expect(python).toBeDefined());
  beforeAll(async () => {
    workflow = workflowFile(synthesizedTemplate());
    const scripts = Object.entries(cases).map(([title, { script }]) => [title, script] as const);
    for (const [title, script] of [...scripts, [refused, { Solve: [failedJob] }] as const]) {
      here.set(title, await runScripted(workflow, drop, script));
    }
    // The name is part of the execution's id, which payloads tell.
    const scripted = [...here.values()].map(({ answers }) => ({ name: 'test', input: drop, answers }));
    const runs = await runOnMoto(python, workflow, scripted);
    for (const [i, title] of [...here.keys()].entries()) there.set(title, runs[i]);
  });

  it.each(Object.entries(cases))('%s the same way: states, payloads and output', (title, { fails = false }) => {
    const [ours, moto] = [here.get(title)!, there.get(title)!];
    expect(moto.path).toEqual(ours.path);
    expect(inAnyOrder(moto.calls)).toEqual(inAnyOrder(ours.calls));
    expect(moto.failure).toEqual(ours.failure);
    expect(moto.output).toEqual(ours.output);
    expect(moto.failure !== undefined).toBe(fails);
  });

  it(`${refused} by the same states and payloads, up to the name States.TaskFailed, which moto does not end with`, () => {
    const [ours, moto] = [here.get(refused)!, there.get(refused)!];
    expect(moto.path).toEqual(ours.path);
    expect(inAnyOrder(moto.calls)).toEqual(inAnyOrder(ours.calls));
    expect(ours.failure).toEqual({ error: failedJob.name, cause: failedJob.message });
    expect(moto.failure?.cause).toContain("MUST NOT begin with the prefix 'States.', got 'States.TaskFailed'");
  });

  it('enter every state on the way of one case or another, but for failures of single stages', () => {
    const entered = new Set([...there.values()].flatMap(({ path }) => path));
    const left = Object.keys(workflow.definition.States).filter((state) => !entered.has(state));
    expect(left.filter((state) => !state.startsWith('FailedAt'))).toEqual([]);
  });
});

/** Items of a Map are called side by side. */
const inAnyOrder = (calls: ReadonlyMap<string, readonly unknown[]>) =>
  Object.fromEntries([...calls].map(([state, all]) => [state, all.map((one) => JSON.stringify(sorted(one))).sort()]));

/** The interpreters build objects in orders of their own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, sorted(inner)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
