/** @file The kinds of states in the workflow. */
import { Aws } from 'aws-cdk-lib';
import { CustomState, JsonPath, Map as MapState, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import { EventBridgePutEvents, LambdaInvoke, SnsPublish } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { FunctionInput, FunctionStage, TaskStage } from '../src/workflow/contract.js';
import { type GpuJobs, taskAttempts } from './gpu-jobs.js';
import { eventSource, type Notifications } from './notifications.js';
import { functionRetry, type ReasonedRetry, serviceRetry, taskRetry } from './retries.js';
import type { Settings } from './settings.js';
import type { StageFunctions } from './stage-functions.js';

export interface WorkflowStatesProps {
  readonly settings: Settings;
  readonly functions: StageFunctions;
  readonly jobs: GpuJobs;
  readonly notifications: Notifications;
}

/** A payload whose values may be paths into the state's input. */
type Payload<S extends FunctionStage> = { readonly [Name in keyof FunctionInput<S>]: unknown };

/** The arguments of a container task beside its stage. */
export interface TaskArguments {
  readonly planKey: string;
  readonly shard?: string;
  readonly attempt?: string;
}

const { executionId } = JsonPath;
const modelId = JsonPath.stringAt('$.ingest.modelId');

/** The path of the plan's key in the execution's state. */
const planKeyPath = '$.plan.planKey';
const attemptPath = '$.attempt.number';

/** Makes states. Every kind has one retry policy, with the reason in its comment. */
export class WorkflowStates {
  readonly #scope: Construct;
  readonly #props: WorkflowStatesProps;

  constructor(scope: Construct, props: WorkflowStatesProps) {
    this.#scope = scope;
    this.#props = props;
  }

  /** A function stage. @param resultPath path for its output, such as `$.plan` */
  call<S extends FunctionStage>(
    name: string,
    stage: S,
    payload: Payload<S>,
    resultPath: string,
    comment: string,
    resultSelector?: Record<string, unknown>,
  ): LambdaInvoke {
    const state = new LambdaInvoke(this.#scope, name, {
      comment: commentOf(comment, functionRetry),
      lambdaFunction: this.#props.functions.of(stage),
      payload: TaskInput.fromObject(payload),
      payloadResponseOnly: true,
      // The library's own policy has no reasons in the comment.
      retryOnServiceExceptions: false,
      resultPath,
      ...(resultSelector && { resultSelector }),
    });
    state.addRetry(functionRetry.policy);
    return state;
  }

  /** Gives the model back. Its output always says so, so that no second release follows. */
  release(name: string, comment: string): LambdaInvoke {
    const payload = { action: 'release', executionId, modelId, fence: JsonPath.numberAt('$.lease.fence') };
    return this.call(name, 'lease', payload, '$.lease', comment, {
      acquired: false,
      fence: JsonPath.numberAt('$.fence'),
    });
  }

  /** Records the outcome of the execution. @param said the fields that are not empty */
  notify(name: string, comment: string, said: Partial<Payload<'notify'>>): LambdaInvoke {
    const rejectedFiles = JsonPath.stringAt('$.ingest.reason');
    const empty = { roundId: '', version: 0, stage: '', error: '', cause: '', rejectedFiles };
    return this.call(name, 'notify', { outcome: '', executionId, modelId, ...empty, ...said }, '$.note', comment);
  }

  /** Starts the next execution. */
  collect(name: string, comment: string): LambdaInvoke {
    return this.call(name, 'collect', { trigger: 'next', modelId }, '$.collect', comment);
  }

  /** A container task that runs once in its round. */
  task(name: string, stage: TaskStage, comment: string): CustomState {
    const json = this.#submitJob(stage, { planKey: planKeyPath, attempt: attemptPath }, comment);
    return this.#custom(name, { ...json, ResultPath: null });
  }

  /** Parallel container tasks of a stage, one for each shard in the list at `shardsPath`, which may be empty. */
  shards(name: string, stage: 'statistics' | 'values' | 'validate', shardsPath: string, comment: string): MapState {
    const json = this.#submitJob(
      stage,
      { planKey: '$.planKey', shard: '$.shard', attempt: '$.attempt' },
      `One shard of the stage ${stage}.`,
    );
    const map = new MapState(this.#scope, name, {
      comment,
      itemsPath: shardsPath,
      itemSelector: {
        shard: JsonPath.stringAt('$$.Map.Item.Value'),
        planKey: JsonPath.stringAt(planKeyPath),
        attempt: JsonPath.numberAt(attemptPath),
      },
      maxConcurrency: this.#props.settings.concurrency[stage],
      resultPath: JsonPath.DISCARD,
    });
    map.itemProcessor(this.#custom(`${name}Shard`, json));
    return map;
  }

  /** The event for programs. */
  emit(name: string, comment: string): EventBridgePutEvents {
    const state = new EventBridgePutEvents(this.#scope, name, {
      comment: commentOf(comment, serviceRetry),
      entries: [
        {
          source: eventSource,
          detailType: 'Round Ended',
          eventBus: this.#props.notifications.bus,
          detail: TaskInput.fromObject({
            outcome: JsonPath.stringAt('$.note.outcome'),
            modelId: JsonPath.stringAt('$.note.modelId'),
            version: JsonPath.numberAt('$.note.version'),
            subject: JsonPath.stringAt('$.note.subject'),
            message: JsonPath.stringAt('$.note.message'),
            recordKey: JsonPath.stringAt('$.note.recordKey'),
            executionId,
          }),
        },
      ],
      resultPath: JsonPath.DISCARD,
    });
    state.addRetry(serviceRetry.policy);
    return state;
  }

  /** The message for people. */
  announce(name: string, comment: string): SnsPublish {
    const state = new SnsPublish(this.#scope, name, {
      comment: commentOf(comment, serviceRetry),
      topic: this.#props.notifications.topic,
      // SNS refuses subjects of more than 100 ASCII characters, so the line with the model's name begins the message.
      subject: JsonPath.format('hookline: {}', JsonPath.stringAt('$.note.outcome')),
      message: TaskInput.fromText(
        JsonPath.format('{} - {}', JsonPath.stringAt('$.note.subject'), JsonPath.stringAt('$.note.message')),
      ),
      resultPath: JsonPath.DISCARD,
    });
    state.addRetry(serviceRetry.policy);
    return state;
  }

  #custom(name: string, stateJson: Record<string, unknown>): CustomState {
    return new CustomState(this.#scope, name, { stateJson }).addRetry(taskRetry.policy);
  }

  /** Written as JSON, because the library's state grants every job definition and cannot render lists with paths. */
  #submitJob(stage: TaskStage, { planKey, shard = '0', attempt = '0' }: TaskArguments, comment: string) {
    const { jobs, settings } = this.#props;
    const text = (value: string) => (value.startsWith('$') ? `States.Format('{}', ${value})` : `'${value}'`);
    const words = [`'${stage}'`, "'--plan'", planKey, "'--shard'", text(shard), "'--attempt'", text(attempt)];
    const minutes = taskAttempts * (settings.attemptMinutes[stage] + settings.queueLimitMinutes);
    return {
      Type: 'Task',
      Comment: commentOf(comment, taskRetry),
      Resource: `arn:${Aws.PARTITION}:states:::batch:submitJob.sync`,
      Parameters: {
        JobName: `${settings.name}-${stage}`,
        JobDefinition: jobs.definitionOf(stage).jobDefinitionArn,
        JobQueue: jobs.queue.jobQueueArn,
        ContainerOverrides: { 'Command.$': `States.Array(${words.join(', ')})` },
      },
      // Batch returns the whole job, of which nothing is needed.
      ResultSelector: {},
      // Time for all attempts, each with the longest wait. A job that hangs longer ends in the failure path.
      TimeoutSeconds: Math.ceil(minutes * 60),
    };
  }
}

const commentOf = (comment: string, { reason }: ReasonedRetry): string => `${comment} Retry: ${reason}`;
