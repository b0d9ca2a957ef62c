/** @file The rights of the state machine that the library does not grant, and the reasons for them. */
import type { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { functionStages, taskStages } from '../src/workflow/contract.js';
import { acknowledge } from './acknowledge.js';
import type { WorkflowStatesProps } from './workflow-states.js';

/** Accepts the findings of the security rules on the rights of the state machine, each with its reason. */
export function acknowledgeFindings(stateMachine: StateMachine, { settings, functions }: WorkflowStatesProps): void {
  const inRegion = (resource: string) => `arn:<AWS::Partition>:batch:<AWS::Region>:<AWS::AccountId>:${resource}`;
  const finding = (resource: string) => `AwsSolutions-IAM5[Resource::${resource}]`;
  const acknowledged = (reason: string, ...ids: string[]) => acknowledge(stateMachine, reason, ...ids);
  acknowledged('X-Ray, log deliveries and the description of jobs know no resources.', finding('*'));
  acknowledged(
    'The data key of a message, of the one key of the topic.',
    'AwsSolutions-IAM5[Action::kms:GenerateDataKey*]',
  );
  acknowledged('Jobs have random ids: those of this account and region.', finding(inRegion('job/*')));
  acknowledged(
    'Every revision of this one definition: an execution goes on with the one it began with.',
    ...taskStages.map((stage) => finding(inRegion(`job-definition/${settings.name}-${stage}:*`))),
  );
  acknowledged(
    'Every version of this one function: the library grants both.',
    ...functionStages.map((stage) => finding(`<${functions.logicalIdOf(stage)}.Arn>:*`)),
  );
}

/** Rights to run jobs, to wait for them, and to end them when an execution is stopped. The library lacks the last. */
export function batchStatements({ settings, jobs }: WorkflowStatesProps, stack: Stack): PolicyStatement[] {
  const batch = (resource: string, resourceName: string) =>
    stack.formatArn({ service: 'batch', resource, resourceName });
  return [
    new PolicyStatement({
      actions: ['batch:SubmitJob'],
      // All revisions, because executions keep the one that they began with.
      resources: [
        jobs.queue.jobQueueArn,
        ...taskStages.map((stage) => batch('job-definition', `${settings.name}-${stage}:*`)),
      ],
    }),
    new PolicyStatement({ actions: ['batch:TerminateJob'], resources: [batch('job', '*')] }),
    // IAM supports no resources for this action.
    new PolicyStatement({ actions: ['batch:DescribeJobs'], resources: ['*'] }),
    new PolicyStatement({
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      resources: [
        stack.formatArn({
          service: 'events',
          resource: 'rule',
          resourceName: 'StepFunctionsGetEventsForBatchJobsRule',
        }),
      ],
    }),
  ];
}
