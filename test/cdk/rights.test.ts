import { beforeAll, describe, expect, it } from 'vitest';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import type { Template } from '../../cdk/workflow-file.js';
import { functionStages, taskStages } from '../../src/workflow/contract.js';
import {
  allows,
  denies,
  listOf,
  resourcesOf,
  statementsOf,
  statementsOfRole,
  textOf,
} from '../support/policy-rights.js';

let template: Template;
beforeAll(() => {
  template = synthesizedTemplate();
});

const only = <T>(all: readonly T[]): T => {
  expect(all).toHaveLength(1);
  return all[0];
};

/** The role of a stage's function or container task, and the bucket's ARN in its policies. */
const pascal = (stage: string) => stage.charAt(0).toUpperCase() + stage.slice(1);
const roleOf = (stage: string): string =>
  only(
    Object.keys(template.Resources).filter((id) =>
      new RegExp(`^(Functions|GpuJobs)${pascal(stage)}Role[0-9A-F]{8}$`).test(id),
    ),
  );
const bucketId = (): string =>
  only(
    resourcesOf(template, 'AWS::S3::Bucket').filter(([, { VersioningConfiguration }]) => VersioningConfiguration),
  )[0];
const objectArn = (key: string): string => `<${bucketId()}.Arn>/${key}`;
const stages = [...functionStages, ...taskStages];
const stagesThatMay = (action: string, key: string): string[] =>
  stages.filter((stage) => allows(statementsOfRole(template, roleOf(stage)), { action, resource: objectArn(key) }));

describe('the rights of the stages', () => {
  it('let one stage write each thing that decides, and setting a round aside what that takes', () => {
    expect(stagesThatMay('s3:PutObject', 'models/m/latest.json')).toEqual(['publish']);
    expect(stagesThatMay('s3:PutObject', 'models/m/versions/000001/manifest.json')).toEqual(['publish']);
    expect(stagesThatMay('s3:PutObject', 'models/m/lease.json')).toEqual(['lease', 'notify']);
    expect(stagesThatMay('s3:PutObject', 'models/m/round.json')).toEqual(['plan', 'notify']);
    expect(stagesThatMay('s3:PutObject', 'models/m/pending/1.json')).toEqual(['ingest']);
    expect(stagesThatMay('s3:PutObject', `models/m/values/${'0'.repeat(64)}.safetensors`)).toEqual(['values']);
    expect(stagesThatMay('s3:PutObject', 'models/m/model.json')).toEqual([]);
  });

  it('let ingest read what it counts tokens with, and keep what it counted with', () => {
    const context = `models/m/statistics/${'0'.repeat(64)}/contexts.json`;
    for (const key of [`models/m/source/${'0'.repeat(64)}/tokenizer.json`, 'models/m/model.json', context]) {
      expect(stagesThatMay('s3:GetObject', key), key).toContain('ingest');
    }
    expect(stagesThatMay('s3:PutObject', `models/m/batches/${'0'.repeat(64)}/contexts.json`)).toContain('ingest');
  });

  it('let nobody delete what is published, leased or stored for good', () => {
    for (const key of ['latest.json', 'lease.json', 'versions/000001/manifest.json', 'batches/0/receipt.json']) {
      expect(stagesThatMay('s3:DeleteObject', `models/m/${key}`), key).toEqual([]);
    }
    expect(stagesThatMay('s3:DeleteObject', 'incoming/m/batch.jsonl')).toEqual(['ingest']);
    expect(stagesThatMay('s3:DeleteObjectVersion', 'models/m/latest.json')).toEqual([]);
  });

  it('let those who look at the lease ask for executions, and only collecting start them', () => {
    const may = (action: string, resource: RegExp) =>
      stages.filter((stage) =>
        statementsOfRole(template, roleOf(stage)).some(
          ({ Action, Resource }) =>
            listOf(Action).includes(action) &&
            listOf(Resource)
              .map(textOf)
              .every((arn) => resource.test(arn)),
        ),
      );
    expect(may('states:DescribeExecution', /:execution:hookline:\*$/)).toEqual(['lease', 'collect', 'notify']);
    expect(may('states:StartExecution', /:stateMachine:hookline$/)).toEqual(['collect']);
  });

  it('name every action, and every resource where the service knows any', () => {
    const withoutResources = [
      /^xray:/,
      /^logs:(Create|Delete|Get|List|Update)LogDeliver/,
      /^logs:(Describe|Put)(LogGroups|ResourcePolic)/,
      /^batch:DescribeJobs$/,
      /^ecr:GetAuthorizationToken$/,
    ];
    const statements = resourcesOf(template, 'AWS::IAM::Policy').flatMap(([, policy]) => statementsOf(policy));
    expect(statements.length).toBeGreaterThan(50);
    for (const { Effect, Action, Resource } of statements) {
      expect(Effect).toBe('Allow');
      for (const action of listOf(Action)) {
        expect(action).toMatch(/^[a-z0-9]+:(\w+|GenerateDataKey\*)$/);
        if (listOf(Resource).some((one) => textOf(one) === '*')) {
          expect(
            withoutResources.some((pattern) => pattern.test(action)),
            action,
          ).toBe(true);
        }
      }
    }
  });
});

describe("the bucket's own policy", () => {
  const refuses = (key: string, conditionKeys: Record<string, string | number>, action = 's3:PutObject') => {
    const policy = only(
      resourcesOf(template, 'AWS::S3::BucketPolicy').filter(([, { Bucket }]) => textOf(Bucket) === `<${bucketId()}>`),
    );
    const overTls = { 'aws:SecureTransport': 'true', 's3:TlsVersion': 1.3 };
    return denies(statementsOf(policy[1]), {
      action,
      resource: objectArn(key),
      conditionKeys: { ...overTls, ...conditionKeys },
    });
  };

  it('refuses to write a pointer or a lease without a condition, and nothing else', () => {
    for (const key of ['models/m/latest.json', 'models/m/lease.json']) {
      expect(refuses(key, {}), key).toBe(true);
      expect(refuses(key, { 's3:if-match': '"etag"' }), key).toBe(false);
      expect(refuses(key, { 's3:if-none-match': '*' }), key).toBe(false);
      expect(refuses(key, {}, 's3:GetObject'), key).toBe(false);
    }
    expect(refuses('models/m/round.json', {})).toBe(false);
    expect(refuses('incoming/m/batch.jsonl', {})).toBe(false);
  });

  it('refuses everything that does not come over TLS 1.2 or later', () => {
    expect(refuses('incoming/m/a', { 'aws:SecureTransport': 'false' })).toBe(true);
    expect(refuses('models/m/model.json', { 's3:TlsVersion': 1.1 }, 's3:GetObject')).toBe(true);
    expect(refuses('models/m/model.json', { 's3:TlsVersion': 1.2 }, 's3:GetObject')).toBe(false);
  });
});
