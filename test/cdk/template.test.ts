import { beforeAll, describe, expect, it } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import type { Template } from '../../cdk/workflow-file.js';
import { taskStages } from '../../src/workflow/contract.js';
import { resourcesOf, textOf } from '../support/policy-rights.js';

let template: Template;
beforeAll(() => {
  template = synthesizedTemplate({ 'hookline:models': [{ id: 'news', schedule: 'rate(10 minutes)' }] });
});

const all = (type: string) => resourcesOf(template, type).map(([, properties]) => properties);

describe('the stack', () => {
  it('deploys nothing but its own seven functions, and no custom resource', () => {
    expect(all('AWS::Lambda::Function')).toHaveLength(7);
    const types = Object.values(template.Resources).map(({ Type }) => Type);
    expect(
      types.filter((type) => type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource'),
    ).toEqual([]);
  });

  it('encrypts, versions and closes its buckets, and tells EventBridge of drops', () => {
    const buckets = all('AWS::S3::Bucket');
    for (const bucket of buckets) {
      expect(bucket.BucketEncryption).toBeDefined();
      expect(bucket.PublicAccessBlockConfiguration).toEqual({
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      });
    }
    const [store] = buckets.filter((bucket) => bucket.VersioningConfiguration);
    expect(store.NotificationConfiguration).toEqual({ EventBridgeConfiguration: { EventBridgeEnabled: true } });
    const { Rules } = store.LifecycleConfiguration as { Rules: Record<string, unknown>[] };
    expect(Rules.map(({ Id }) => Id)).toEqual([
      'replaced-and-deleted',
      'left-in-inbox',
      'rounds-of-news',
      'values-of-news',
    ]);
    expect(
      Rules.filter(({ Prefix }) => Prefix === undefined).every((rule) => rule.ExpirationInDays === undefined),
    ).toBe(true);
  });

  it('keeps every log for a bounded time, and encrypts its topic and its queue', () => {
    for (const group of all('AWS::Logs::LogGroup')) expect(group.RetentionInDays).toBe(90);
    for (const topic of all('AWS::SNS::Topic')) expect(topic.KmsMasterKeyId).toBeDefined();
    for (const queue of all('AWS::SQS::Queue')) expect(queue.SqsManagedSseEnabled).toBe(true);
    for (const { LoggingConfig } of all('AWS::Lambda::Function')) expect(LoggingConfig).toHaveProperty('LogGroup');
  });

  it('starts an execution for a drop, with the input that the contract names', () => {
    const drops = all('AWS::Events::Rule').filter(({ EventPattern }) =>
      JSON.stringify(EventPattern).includes('aws.s3'),
    );
    expect(drops).toHaveLength(1);
    expect(drops[0].EventPattern).toMatchObject({
      'detail-type': ['Object Created'],
      detail: { object: { key: [{ prefix: 'incoming/' }] } },
    });
    const [{ InputTransformer }] = drops[0].Targets as [{ InputTransformer: Record<string, unknown> }];
    expect(InputTransformer).toEqual({
      InputPathsMap: { 'detail-object-key': '$.detail.object.key' },
      InputTemplate: '{"trigger":"drop","objectKey":<detail-object-key>,"modelId":""}',
    });
  });

  it('collects on a schedule, for all models and for those with one of their own', () => {
    const schedules = all('AWS::Scheduler::Schedule').map(({ ScheduleExpression, Target }) => [
      ScheduleExpression,
      (Target as { Input: string }).Input,
    ]);
    expect(schedules).toEqual([
      ['rate(1 hour)', '{"trigger":"schedule","modelId":""}'],
      ['rate(10 minutes)', '{"trigger":"schedule","modelId":"news"}'],
    ]);
  });

  it('looks for pending work when an execution was cut off', () => {
    const targets = all('AWS::Events::Rule')
      .filter(({ EventPattern }) => JSON.stringify(EventPattern).includes('"TIMED_OUT","ABORTED"'))
      .flatMap(({ Targets }) => Targets as { Arn: unknown; Input?: string }[]);
    const collecting = targets.filter(({ Arn }) => textOf(Arn).startsWith('<FunctionsCollect'));
    expect(collecting.map(({ Input }) => Input)).toEqual(['{"trigger":"schedule","modelId":""}']);
    expect(targets).toHaveLength(2);
  });

  it('loses no event: every target has a dead letter queue, and so has the function that events call', () => {
    const targets = all('AWS::Events::Rule').flatMap(({ Targets }) => Targets as Record<string, unknown>[]);
    expect(targets.length).toBeGreaterThan(3);
    for (const target of targets) expect(target.DeadLetterConfig).toBeDefined();
    for (const { Target } of all('AWS::Scheduler::Schedule')) expect(Target).toHaveProperty('DeadLetterConfig');
    expect(all('AWS::Lambda::EventInvokeConfig')).toHaveLength(1);
    expect(all('AWS::Lambda::EventInvokeConfig')[0].DestinationConfig).toHaveProperty('OnFailure');
  });

  it('rings for everything that a person must look at', () => {
    const alarms = resourcesOf(template, 'AWS::CloudWatch::Alarm');
    const names = alarms.map(([id]) => id.replace(/^Monitoring|[0-9A-F]{8}$/g, ''));
    const wanted = ['Failed', 'Rejected', 'Stuck', 'Aborted', 'Slow'].map((what) => `Round${what}`);
    expect(names.sort()).toEqual([...wanted, 'QueueWait', 'TaskTime', 'DeadLetters'].sort());
    for (const [, { AlarmActions, AlarmDescription }] of alarms) {
      expect(AlarmActions).toHaveLength(1);
      expect(AlarmDescription).toMatch(/\.$/);
    }
    expect(all('AWS::CloudWatch::Dashboard')).toHaveLength(1);
  });
});

describe('the GPU queue', () => {
  it('asks Spot before On-Demand, and keeps no instance without work', () => {
    const fleets = Object.fromEntries(resourcesOf(template, 'AWS::Batch::ComputeEnvironment'));
    const [queue] = all('AWS::Batch::JobQueue');
    const order = queue.ComputeEnvironmentOrder as { Order: number; ComputeEnvironment: unknown }[];
    const types = [...order]
      .sort((a, b) => a.Order - b.Order)
      .map(({ ComputeEnvironment }) => textOf(ComputeEnvironment).slice(1).split('.')[0])
      .map((id) => fleets[id].ComputeResources as Record<string, unknown>);
    expect(types.map(({ Type }) => Type)).toEqual(['SPOT', 'EC2']);
    for (const { MinvCpus, Ec2Configuration, LaunchTemplate } of types) {
      expect(MinvCpus).toBe(0);
      expect(Ec2Configuration).toEqual([{ ImageType: 'ECS_AL2023_NVIDIA' }]);
      expect(LaunchTemplate).toHaveProperty('Version');
    }
    expect(queue.JobStateTimeLimitActions).toHaveLength(3);
  });

  it('runs each stage on the one image, as a plain user, with attempts that end', () => {
    const jobs = all('AWS::Batch::JobDefinition');
    expect(jobs.map(({ JobDefinitionName }) => JobDefinitionName).sort()).toEqual(
      taskStages.map((stage) => `hookline-${stage}`).sort(),
    );
    expect(new Set(jobs.map(({ ContainerProperties }) => (ContainerProperties as { Image: string }).Image)).size).toBe(
      1,
    );
    for (const { ContainerProperties, RetryStrategy, Timeout } of jobs) {
      const container = ContainerProperties as Record<string, unknown> & { ResourceRequirements: { Type: string }[] };
      expect(container.Privileged).toBe(false);
      expect(Number(container.User)).toBeGreaterThan(0);
      const gpus = container.ResourceRequirements.filter(({ Type }) => Type === 'GPU');
      expect(gpus).toEqual([{ Type: 'GPU', Value: '1' }]);
      expect(RetryStrategy).toEqual({
        Attempts: 3,
        EvaluateOnExit: [
          { Action: 'EXIT', OnExitCode: '64' },
          { Action: 'RETRY', OnStatusReason: 'Host EC2*' },
          { Action: 'RETRY', OnReason: '*' },
        ],
      });
      expect((Timeout as { AttemptDurationSeconds: number }).AttemptDurationSeconds).toBeGreaterThanOrEqual(60);
    }
  });

  it('goes into an existing VPC by its attributes, looking nothing up', () => {
    const vpc = { vpcId: 'vpc-0a1b', availabilityZones: ['eu-west-1a'], privateSubnetIds: ['subnet-0c2d'] };
    const inside = synthesizedTemplate({ 'hookline:vpc': vpc });
    expect(resourcesOf(inside, 'AWS::EC2::VPC')).toEqual([]);
    for (const [, { ComputeResources }] of resourcesOf(inside, 'AWS::Batch::ComputeEnvironment')) {
      expect(ComputeResources).toMatchObject({ Subnets: ['subnet-0c2d'] });
    }
  });
});
