import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import type { Template } from '../../cdk/workflow-file.js';
import { taskStages } from '../../src/workflow/contract.js';
import { resourcesOf, textOf } from '../support/policy-rights.js';

let template: Template;
beforeAll(() => {
  template = synthesizedTemplate({ 'hookline:models': [{ id: 'news', schedule: 'rate(10 minutes)' }] });
});

interface Trust {
  readonly Principal: { readonly Service: string };
  readonly Condition?: unknown;
}

interface Boot {
  readonly MetadataOptions: unknown;
  readonly UserData: { readonly 'Fn::Base64': unknown };
}

/** The MIME parts of an instance's user data. */
function partsOf({ UserData }: Boot): { readonly type: string; readonly script: string }[] {
  const text = textOf(UserData['Fn::Base64']);
  const [, boundary] = /boundary="([^"]+)"/.exec(text)!;
  const bodies = text.split(`--${boundary}`).slice(1, -1);
  return bodies.map((body) => {
    const [headers, script] = body.trimStart().split(/\n\n/);
    // A text in base64 is one of CloudFormation, which is shown as <text> here.
    return { type: /Content-Type: ([^;\s]+)/.exec(headers)![1], script: script.trim().replace(/^<(.*)>$/s, '$1') };
  });
}

/** Where the rules of a network can be set apart from those of the machine. */
const hasNamespaces =
  process.platform === 'linux' && spawnSync('unshare', ['--net', 'iptables', '-S'], { stdio: 'ignore' }).status === 0;

/** Says which of the addresses a user reaches, each a server in this process. */
const reachScript = `
import { execFileSync, spawn } from 'node:child_process';
import { createServer, connect } from 'node:net';
const addresses = ['169.254.169.254', '169.254.170.2'];
if (process.argv[2] === 'client') {
  const reaches = (host) => new Promise((resolve) => {
    const socket = connect({ host, port: 8080, localAddress: '10.0.0.1' }, () => resolve(true)).on('error', () => resolve(false));
    socket.unref();
  });
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(addresses.map(async (a) => [a, await reaches(a)])))));
} else {
  const servers = addresses.map((host) => createServer((socket) => socket.end()).listen(8080, host));
  const ask = (uid) => new Promise((resolve) => {
    let told = '';
    const child = spawn(process.execPath, [import.meta.filename, 'client'], { uid, gid: uid });
    child.stdout.on('data', (text) => { told += text; });
    child.on('close', () => resolve(JSON.parse(told)));
  });
  console.log(JSON.stringify({ 0: await ask(0), 1000: await ask(1000) }));
  for (const server of servers) server.close();
}
`;

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

  it('boots every instance with a rule that leaves its credentials to root, which no task is', () => {
    const [metadata] = all('AWS::EC2::LaunchTemplate').map(({ LaunchTemplateData }) => LaunchTemplateData as Boot);
    expect(metadata.MetadataOptions).toEqual({
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
      HttpProtocolIpv6: 'disabled',
    });
    const parts = partsOf(metadata);
    expect(parts.map(({ type }) => type)).toEqual(['text/cloud-boothook', 'text/x-shellscript']);
    expect(parts[0].script).toContain('-I OUTPUT -p tcp -d 169.254.169.254 -m owner ! --uid-owner 0 -j REJECT');
    const [templateId] = resourcesOf(template, 'AWS::EC2::LaunchTemplate').map(([id]) => id);
    for (const { ComputeResources } of all('AWS::Batch::ComputeEnvironment')) {
      const { LaunchTemplate } = ComputeResources as { LaunchTemplate: Record<string, unknown> };
      expect(textOf(LaunchTemplate.LaunchTemplateId)).toBe(`<${templateId}>`);
      expect(textOf(LaunchTemplate.Version)).toBe(`<${templateId}.LatestVersionNumber>`);
    }
    for (const { ContainerProperties } of all('AWS::Batch::JobDefinition')) {
      expect(ContainerProperties).toMatchObject({ User: '1000', Privileged: false });
    }
  });

  it.skipIf(!hasNamespaces)('shuts the metadata service for tasks, and nothing else, when that script runs', () => {
    const [{ script }] = partsOf(all('AWS::EC2::LaunchTemplate')[0].LaunchTemplateData as Boot);
    const folder = mkdtempSync(join(tmpdir(), 'hookline-boot-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, 'boot.sh'), script, { mode: 0o755 });
    // Its own network with the addresses of an instance, of its metadata, and of the agent that gives tasks their credentials.
    writeFileSync(join(folder, 'reach.mjs'), reachScript);
    const addresses = '10.0.0.1 169.254.169.254 169.254.170.2';
    const made = `ip link set lo up && for a in ${addresses}; do ip address add $a/32 dev lo || exit 1; done`;
    // Of every boot: the second run changes nothing.
    const boot = `${join(folder, 'boot.sh')} && ${join(folder, 'boot.sh')}`;
    const run = (commands: string) =>
      execFileSync('unshare', ['--net', 'sh', '-c', `${made} && ${commands}`], { encoding: 'utf8' });
    const reach = `${process.execPath} ${join(folder, 'reach.mjs')}`;
    const open = { '169.254.169.254': true, '169.254.170.2': true };
    expect(JSON.parse(run(reach))).toEqual({ 0: open, 1000: open });
    expect(JSON.parse(run(`${boot} && ${reach}`))).toEqual({ 0: open, 1000: { ...open, '169.254.169.254': false } });
    expect(run(`${boot} && iptables -S OUTPUT`).match(/-j REJECT/g)).toHaveLength(1);
  });

  it('lets services take its roles on behalf of its own account only', () => {
    const statements = all('AWS::IAM::Role').flatMap(
      ({ AssumeRolePolicyDocument }) => (AssumeRolePolicyDocument as { Statement: Trust[] }).Statement,
    );
    expect(statements.length).toBeGreaterThan(12);
    for (const { Principal, Condition } of statements) {
      // EC2 names no account.
      if (Principal.Service === 'ec2.amazonaws.com') expect(Condition).toBeUndefined();
      else expect(Condition).toMatchObject({ StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } });
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
