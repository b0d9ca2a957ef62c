import { Aspects, CfnOutput, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { ArtifactBucket } from './artifact-bucket.js';
import { DeadLetters } from './dead-letters.js';
import { EditingWorkflow, stateMachineArn } from './editing-workflow.js';
import { EventLog } from './event-log.js';
import { GpuJobs } from './gpu-jobs.js';
import { Monitoring } from './monitoring.js';
import { Notifications } from './notifications.js';
import { TrustOwnAccountOnly } from './own-account.js';
import type { Settings } from './settings.js';
import { StageFunctions } from './stage-functions.js';
import { Triggers } from './triggers.js';

/** Everything that edits models on AWS: store, stages, state machine, triggers and monitoring. */
export class EditingStack extends Stack {
  readonly workflow: EditingWorkflow;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, { description: 'hookline: edits facts in deployed language models, round by round' });
    Aspects.of(this).add(new TrustOwnAccountOnly());
    const machineArn = stateMachineArn(this, settings.name);
    const artifacts = new ArtifactBucket(this, 'Artifacts', settings);
    const deadLetters = new DeadLetters(this, 'DeadLetters').queue;
    const eventLog = new EventLog(this, 'EventLog', settings, deadLetters);
    const asked = { settings, stateMachineArn: machineArn, deadLetters };
    const functions = new StageFunctions(this, 'Functions', { ...asked, artifacts });
    const jobs = new GpuJobs(this, 'GpuJobs', { settings, artifacts });
    const notifications = new Notifications(this, 'Notifications', { ...asked, eventLog });
    this.workflow = new EditingWorkflow(this, 'Workflow', { settings, functions, jobs, notifications });
    const { stateMachine } = this.workflow;
    new Triggers(this, 'Triggers', {
      ...asked,
      bucket: artifacts.bucket,
      stateMachine,
      collect: functions.of('collect'),
      collectId: functions.logicalIdOf('collect'),
    });
    const { topic } = notifications;
    new Monitoring(this, 'Monitoring', { settings, stateMachine, queue: jobs.queue, deadLetters, eventLog, topic });
    new CfnOutput(this, 'Store', { description: 'The object store: HOOKLINE_STORE', value: artifacts.storeUrl });
    new CfnOutput(this, 'StateMachine', { description: 'HOOKLINE_STATE_MACHINE', value: stateMachine.stateMachineArn });
  }
}
