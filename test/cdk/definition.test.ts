import aslValidator from 'asl-validator';
import { beforeAll, describe, expect, it } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import { type AslState, statesOf, type Template, type WorkflowFile, workflowFile } from '../../cdk/workflow-file.js';

let template: Template;
let workflow: WorkflowFile;
beforeAll(() => {
  template = synthesizedTemplate();
  workflow = workflowFile(template);
});

const states = () => Object.entries(workflow.definition.States);
const catches = (state: AslState) => (state.Catch ?? []) as unknown as { ErrorEquals: string[]; Next: string }[];
const nextOf = (name: string) => workflow.definition.States[name].Next as string;
const failurePath = ['ReleaseFailed', 'NotifyFailed', 'EmitFailed', 'AnnounceFailed', 'CollectAfterFailure'];

describe('the state machine', () => {
  it('is valid in the Amazon States Language', () => {
    // It fills in defaults.
    const { isValid, errorsText } = aslValidator(structuredClone(workflow.definition));
    expect(isValid ? '' : errorsText('\n')).toBe('');
  });

  it('catches every error of every stage, names the stage, and leads to release, record and failure', () => {
    const stages = states().filter(([name, { Type }]) => ['Task', 'Map'].includes(Type) && !failurePath.includes(name));
    expect(stages).toHaveLength(21);
    for (const [name, state] of stages) {
      const last = catches(state).at(-1)!;
      expect(last, name).toMatchObject({ ErrorEquals: ['States.ALL'], Next: `FailedAt${name}` });
      expect(workflow.definition.States[last.Next].Parameters, name).toHaveProperty('stage');
      expect(nextOf(last.Next)).toBe('DescribeFailure');
    }
    expect(nextOf('DescribeFailure')).toBe('HoldsLease');
    expect(failurePath.map(nextOf)).toEqual([...failurePath.slice(1), 'Failed']);
    expect(workflow.definition.States.Failed.Type).toBe('Fail');
  });

  it('goes on with the failure where a step of that path fails itself', () => {
    const next = failurePath.map((name) => catches(workflow.definition.States[name])[0].Next);
    expect(next).toEqual(['NotifyFailed', 'CollectAfterFailure', 'AnnounceFailed', 'CollectAfterFailure', 'Failed']);
  });

  it('gives a reason for every retry, and retries everything that calls a service', () => {
    for (const [name, state] of statesOf(workflow.definition)) {
      expect(state.Comment, name).toBeTypeOf('string');
      if (state.Type === 'Task') expect(state.Retry, name).toHaveLength(1);
      if (state.Retry !== undefined) expect(state.Comment, name).toMatch(/ Retry: .{40,}/);
      expect(JSON.stringify(state.Retry ?? []), name).not.toMatch(/PermanentError|StaleBaseError|States\.ALL/);
    }
  });

  it('bounds how many shards run at once, and how long a task may hang', () => {
    for (const [name, state] of statesOf(workflow.definition)) {
      if (state.Type === 'Map') expect(state.MaxConcurrency, name).toBe(8);
      if (name in workflow.tasks)
        expect(state.TimeoutSeconds, name).toBeGreaterThan(workflow.tasks[name].timeoutSeconds);
    }
    expect(workflow.definition).toHaveProperty('TimeoutSeconds', 72 * 3600);
  });

  it('says what each task state stands for, and how often and how long a container task is tried', () => {
    const named = [workflow.functions, workflow.tasks, workflow.services].flatMap((table) => Object.keys(table));
    const tasks = [...statesOf(workflow.definition)].filter(([, { Type }]) => Type === 'Task').map(([name]) => name);
    expect(named.sort()).toEqual(tasks.sort());
    expect(workflow.functions).toMatchObject({ Ingest: 'ingest', Release: 'lease', RejectRound: 'publish' });
    expect(workflow.services).toMatchObject({ EmitEvent: 'events', Announce: 'sns' });
    expect(workflow.tasks.Solve).toEqual({
      stage: 'solve',
      attempts: 3,
      permanentExitCodes: [64],
      timeoutSeconds: 3600,
    });
  });

  it('is written the same whenever it is synthesized, whatever is set that it does not show', () => {
    const again = workflowFile(synthesizedTemplate({ 'hookline:alarmEmail': 'someone@example.com' }));
    expect(JSON.stringify(again)).toBe(JSON.stringify(workflow));
    expect(JSON.stringify(workflow)).not.toMatch(/Fn::|AWS::|\$\{/);
  });
});

describe('a state that would run otherwise elsewhere', () => {
  const machineWith = (state: Record<string, unknown>): Template => ({
    Resources: {
      Machine: {
        Type: 'AWS::StepFunctions::StateMachine',
        Properties: {
          DefinitionString: JSON.stringify({ StartAt: 'A', States: { A: { Type: 'Pass', End: true, ...state } } }),
        },
      },
    },
  });

  it('is refused', () => {
    expect(workflowFile(machineWith({})).definition.StartAt).toBe('A');
    for (const [state, message] of [
      [{ QueryLanguage: 'JSONata' }, /JSONPath, got "JSONata"/],
      [{ Assign: { a: 1 } }, /got Assign/],
      [{ HeartbeatSeconds: 5 }, /got HeartbeatSeconds/],
      [{ ItemReader: {} }, /got ItemReader/],
      [
        { Type: 'Map', ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED' }, StartAt: 'B', States: {} } },
        /an inline Map, got DISTRIBUTED/,
      ],
      [{ Type: 'Task', Resource: 'arn:aws:lambda:us-east-1:000000000000:function:other' }, /function of A/],
    ] as const) {
      expect(() => workflowFile(machineWith(state)), JSON.stringify(state)).toThrow(message);
    }
  });
});
