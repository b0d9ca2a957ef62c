import { Stack } from 'aws-cdk-lib';
import { EventBus, EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { EventLog } from './event-log.js';
import type { Settings } from './settings.js';

/** Source of the events about rounds. */
export const eventSource = 'hookline';

export interface NotificationsProps {
  readonly settings: Settings;
  readonly stateMachineArn: string;
  readonly deadLetters: IQueue;
  readonly eventLog: EventLog;
}

/** Announces the outcome of rounds: a topic for people, an event bus for programs. */
export class Notifications extends Construct {
  readonly topic: Topic;
  /** Publishers to the topic need it. */
  readonly key: Key;
  readonly bus: EventBus;

  constructor(scope: Construct, id: string, props: NotificationsProps) {
    super(scope, id);
    const { settings, eventLog } = props;
    this.key = this.#makeKey();
    this.topic = new Topic(this, 'Topic', {
      displayName: `${settings.name}: rounds and alarms`,
      masterKey: this.key,
      enforceSSL: true,
    });
    // A topic with its own policy does not accept alarms by default.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: ofThisAccount(this),
      }),
    );
    if (settings.alarmEmail !== '') this.topic.addSubscription(new EmailSubscription(settings.alarmEmail));
    this.bus = new EventBus(this, 'Bus', {
      eventBusName: settings.name,
      description: 'Rounds that were published, were rejected or failed',
    });
    new Rule(this, 'KeepRoundEvents', {
      description: 'Keeps every event about a round in the event log',
      eventBus: this.bus,
      eventPattern: { source: [eventSource] },
      targets: [eventLog],
    });
    this.#tellOfCutExecutions(props);
  }

  /** Alarms and EventBridge can publish to an encrypted topic only with a customer managed key. */
  #makeKey(): Key {
    const key = new Key(this, 'Key', { description: 'hookline: notifications', enableKeyRotation: true });
    key.addToResourcePolicy(
      new PolicyStatement({
        principals: ['cloudwatch.amazonaws.com', 'events.amazonaws.com'].map((name) => new ServicePrincipal(name)),
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: ofThisAccount(this),
      }),
    );
    return key;
  }

  /** After a timeout or an abort, the state machine cannot announce anything itself. */
  #tellOfCutExecutions({ stateMachineArn, deadLetters }: NotificationsProps): void {
    const message = `Execution ${EventField.fromPath('$.detail.name')} ended as ${EventField.fromPath('$.detail.status')}.`;
    new Rule(this, 'ExecutionCut', {
      description: 'Tells of executions that ran into their timeout or were aborted',
      eventPattern: cutExecutions(stateMachineArn),
      targets: [new SnsTopic(this.topic, { message: RuleTargetInput.fromText(message), deadLetterQueue: deadLetters })],
    });
  }
}

const ofThisAccount = (scope: Construct) => ({ StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } });

/** Executions of the state machine that ended without their own failure path. */
export const cutExecutions = (stateMachineArn: string) => ({
  source: ['aws.states'],
  detailType: ['Step Functions Execution Status Change'],
  detail: { stateMachineArn: [stateMachineArn], status: ['TIMED_OUT', 'ABORTED'] },
});
