import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkWorkflow, loadWorkflow, mapsOfStates, type Workflow } from '../../../src/local/load-workflow.js';
import { functionState, mapOver, task, taskState, workflowFolder, workflowOf } from './small-workflow.js';

const { fileIn } = workflowFolder();
const functions = { First: 'collect' } as const;
const refused =
  (state: Record<string, unknown>, definition: Record<string, unknown> = {}) =>
  () =>
    checkWorkflow({
      definition: { StartAt: 'First', States: { First: state as { Type: string } }, ...definition },
      functions,
      tasks: {},
      services: {},
    });

describe('a workflow is refused, with state and field,', () => {
  it.each([
    [
      functionState({ QueryLanguage: 'JSONata' }),
      'JSONPath, the dialect that runs here as on AWS, got QueryLanguage JSONata',
    ],
    [functionState({ Arguments: '{% $x %}' }), 'got Arguments'],
    [functionState({ Assign: { 'x.$': '$.x' } }), 'no variables, got Assign'],
    [functionState({ HeartbeatSeconds: 5 }), 'no heartbeats, got HeartbeatSeconds'],
    [functionState({ HeartbeatSecondsPath: '$.x' }), 'no heartbeats'],
    [functionState({ Catch: [{ ErrorEquals: ['States.ALL'], Next: 'First', Assign: {} }] }), 'no variables'],
    [functionState({ Resource: 'arn:aws:states:::sqs:sendMessage.waitForTaskToken' }), 'no callbacks'],
    [mapOver(taskState(), { ItemReader: {} }), 'an inline Map, got ItemReader'],
    [mapOver(taskState(), { ToleratedFailurePercentage: 5 }), 'an inline Map'],
    [
      mapOver(taskState(), { ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED' }, StartAt: 'A', States: {} } }),
      'got mode DISTRIBUTED',
    ],
  ])('for what would be passed over here: %#', (state, message) => {
    expect(refused(state)).toThrow(message);
    expect(refused(state)).toThrow('state First');
  });

  it('for the dialect of the whole machine, and for a state inside a Map', () => {
    expect(refused(functionState(), { QueryLanguage: 'JSONata' })).toThrow('JSONPath');
    expect(refused(mapOver(functionState({ HeartbeatSeconds: 1 })))).toThrow('state Shard: no heartbeats');
  });

  it('for a task state that stands for nothing, and for a name twice', () => {
    const state = functionState();
    expect(() => workflowOf({ First: state })).toThrow('one of a function, a task or a service, got 0 of them');
    expect(() => workflowOf({ First: state }, { functions, services: { First: 'sns' } })).toThrow('got 2 of them');
    const twice = { Shard: { Type: 'Succeed' }, First: mapOver(taskState()) };
    expect(() => workflowOf(twice, { tasks: { Shard: task } })).toThrow('state Shard: a name of its own');
  });
});

describe('a workflow that is taken', () => {
  it('has timers that Node keeps: none of a minute, none beyond its range', () => {
    const states = {
      First: mapOver(taskState(), { End: undefined, Next: 'Last' }),
      Last: { ...functionState(), TimeoutSeconds: 99_999_999 },
    };
    const parts = { functions: { Last: 'collect' as const }, tasks: { Shard: { ...task, timeoutSeconds: 1e9 } } };
    const { definition, tasks } = workflowOf(states, parts) as Workflow & {
      definition: { States: Record<string, never> };
    };
    const seconds = JSON.stringify(definition).match(/"TimeoutSeconds":\d+/g);
    expect(seconds).toEqual(['"TimeoutSeconds":2000000', '"TimeoutSeconds":2000000']);
    expect(tasks.Shard.timeoutSeconds).toBe(2_000_000);
  });

  it('is read from a file, and says which states belong to which Map', async () => {
    const path = fileIn('workflow.json');
    const { definition } = workflowOf({ First: mapOver(taskState()) }, { tasks: { Shard: task } });
    writeFileSync(path, JSON.stringify({ definition, functions: {}, tasks: { Shard: task }, services: {} }));
    expect([...mapsOfStates(await loadWorkflow(path))]).toEqual([['Shard', 'First']]);
    writeFileSync(path, '{"definition":');
    await expect(loadWorkflow(path)).rejects.toThrow('a state machine with its stages');
    await expect(loadWorkflow(fileIn('none.json'))).rejects.toThrow('npm run build');
  });
});
