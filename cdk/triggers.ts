import { Duration } from 'aws-cdk-lib';
import { EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { LambdaFunction, SfnStateMachine } from 'aws-cdk-lib/aws-events-targets';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Schedule, ScheduleExpression, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { inboxPrefix } from '../src/registry/keys.js';
import type { ExecutionInput, FunctionInput } from '../src/workflow/contract.js';
import { acknowledge } from './acknowledge.js';
import { cutExecutions } from './notifications.js';
import type { Settings } from './settings.js';

export interface TriggersProps {
  readonly settings: Settings;
  readonly bucket: Bucket;
  readonly stateMachine: StateMachine;
  readonly stateMachineArn: string;
  readonly collect: IFunction;
  /** Logical id of that function in the template. */
  readonly collectId: string;
  readonly deadLetters: IQueue;
}

/** Starts executions: for a dropped file, by the clock, and after an execution that could not start its successor. */
export class Triggers extends Construct {
  constructor(scope: Construct, id: string, props: TriggersProps) {
    super(scope, id);
    this.#onDrop(props);
    const role = this.#scheduleRole(props);
    this.#onSchedule(props, role, props.settings.schedule, '');
    for (const { id: modelId, schedule } of props.settings.models) {
      if (schedule !== undefined) this.#onSchedule(props, role, schedule, modelId);
    }
    this.#onCutExecution(props);
  }

  #onDrop({ bucket, stateMachine, deadLetters }: TriggersProps): void {
    const input: ExecutionInput = {
      trigger: 'drop',
      objectKey: EventField.fromPath('$.detail.object.key'),
      modelId: '',
    };
    new Rule(this, 'Drop', {
      description: 'Starts an execution for every file dropped into an inbox',
      eventPattern: {
        source: ['aws.s3'],
        detailType: ['Object Created'],
        detail: { bucket: { name: [bucket.bucketName] }, object: { key: [{ prefix: inboxPrefix }] } },
      },
      targets: [
        new SfnStateMachine(stateMachine, {
          input: RuleTargetInput.fromObject(input),
          deadLetterQueue: deadLetters,
          ...delivery,
        }),
      ],
    });
  }

  /** The role with which schedules call a function. */
  #scheduleRole({ collectId }: TriggersProps): Role {
    const role = new Role(this, 'ScheduleRole', { assumedBy: new ServicePrincipal('scheduler.amazonaws.com') });
    acknowledge(
      role,
      'Every version of this one function: the library grants both.',
      `AwsSolutions-IAM5[Resource::<${collectId}.Arn>:*]`,
    );
    return role;
  }

  /** @param modelId empty for all models */
  #onSchedule({ collect, deadLetters }: TriggersProps, role: Role, expression: string, modelId: string): void {
    const input: FunctionInput<'collect'> = { trigger: 'schedule', modelId };
    new Schedule(this, `Schedule${modelId}`, {
      description: `Collects pending edits of ${modelId === '' ? 'all models' : modelId} into rounds`,
      schedule: ScheduleExpression.expression(expression),
      target: new LambdaInvoke(collect, {
        input: ScheduleTargetInput.fromObject(input),
        role,
        deadLetterQueue: deadLetters,
        maxEventAge: delivery.maxEventAge,
        retryAttempts: delivery.retryAttempts,
      }),
    });
  }

  /**
   * Collects after an execution that was cut off, which could not release its lease. The next one that asks finds that
   * the holder does not run any more, and takes the lease. This rule makes sure that somebody asks at once. It does not
   * match FAILED: such executions have released and collected, and if the machine itself failed, it would fail again
   * without end.
   */
  #onCutExecution({ collect, stateMachineArn, deadLetters }: TriggersProps): void {
    const input: FunctionInput<'collect'> = { trigger: 'schedule', modelId: '' };
    new Rule(this, 'ExecutionCut', {
      description: 'Takes over the lease and the work of executions that timed out or were aborted',
      eventPattern: cutExecutions(stateMachineArn),
      targets: [
        new LambdaFunction(collect, {
          event: RuleTargetInput.fromObject(input),
          deadLetterQueue: deadLetters,
          ...delivery,
        }),
      ],
    });
  }
}

/** The schedule has found the work of older events already. */
const delivery = { maxEventAge: Duration.hours(2), retryAttempts: 10 };
