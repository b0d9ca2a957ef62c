import { RemovalPolicy } from 'aws-cdk-lib';
import type { IRuleTarget, RuleTargetConfig } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Settings } from './settings.js';

/**
 * A log group as a target of rules: for events about rounds, and for the times that GPU tasks waited and ran. (The
 * library's own target would deploy a function to set the group's policy.)
 */
export class EventLog extends Construct implements IRuleTarget {
  readonly logGroup: LogGroup;
  readonly #deadLetters: IQueue;

  constructor(scope: Construct, id: string, { name, logRetentionDays }: Settings, deadLetters: IQueue) {
    super(scope, id);
    this.#deadLetters = deadLetters;
    this.logGroup = new LogGroup(this, 'Group', {
      // EventBridge writes only to groups with this prefix.
      logGroupName: `/aws/events/${name}`,
      retention: logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.logGroup.addToResourcePolicy(
      new PolicyStatement({
        principals: ['events.amazonaws.com', 'delivery.logs.amazonaws.com'].map((name) => new ServicePrincipal(name)),
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    );
  }

  bind(): RuleTargetConfig {
    const { stack } = this.logGroup;
    return {
      // Rules need the ARN without the `:*` at the end of a log group's ARN.
      arn: stack.formatArn({ service: 'logs', resource: `log-group:${this.logGroup.logGroupName}` }),
      deadLetterConfig: { arn: this.#deadLetters.queueArn },
    };
  }
}
