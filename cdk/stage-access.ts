/** @file The objects that each stage reads, writes and deletes. A stage has no other rights on the bucket. */
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import type { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { FunctionStage, TaskStage } from '../src/workflow/contract.js';
import { acknowledge } from './acknowledge.js';
import { keyPatterns as keys } from './key-patterns.js';

/** Patterns of object keys. */
export interface StageAccess {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly deletes: readonly string[];
}

/** A stage that finds a round ended removes its edits from the queue. */
const ending = { writes: [keys.rounds, keys.batches], deletes: [keys.pending, keys.currentRound, keys.failed] };

export const stageAccess: Readonly<Record<FunctionStage | TaskStage, StageAccess>> = {
  ingest: { reads: [keys.inbox, keys.models], writes: [keys.batches, keys.pending], deletes: [keys.inbox] },
  lease: { reads: [keys.lease], writes: [keys.lease], deletes: [] },
  // Begins a round, finishes one whose last stage was interrupted, and quarantines one if that was interrupted.
  plan: { reads: [keys.models], writes: [...ending.writes, keys.currentRound, keys.failed], deletes: ending.deletes },
  judge: { reads: [keys.models], writes: [keys.rounds], deletes: [] },
  publish: {
    reads: [keys.models],
    writes: [...ending.writes, keys.versions, keys.log, keys.latest],
    deletes: ending.deletes,
  },
  collect: { reads: [keys.inbox, keys.models], writes: [], deletes: [] },
  // Quarantines a round that keeps failing, under the lease.
  notify: {
    reads: [keys.models, keys.strayRecords],
    writes: [
      ...[keys.records, keys.strayRecords, keys.failures, keys.stalls, keys.rounds],
      ...[keys.failed, keys.currentRound, keys.lease],
    ],
    deletes: [...ending.deletes, keys.stalls],
  },
  // The sums of a shard are kept until they are merged.
  statistics: { reads: [keys.models], writes: [keys.statistics], deletes: [keys.statistics] },
  merge: { reads: [keys.models], writes: [keys.statistics], deletes: [keys.statistics] },
  values: { reads: [keys.models], writes: [keys.values], deletes: [] },
  solve: { reads: [keys.models], writes: [keys.rounds], deletes: [] },
  validate: { reads: [keys.models], writes: [keys.rounds], deletes: [] },
};

/** Gives a role exactly these rights. */
export function grantAccess(bucket: Bucket, role: Role, { reads, writes, deletes }: StageAccess): void {
  // Without the right to list, S3 answers 403 for a missing object, and so it does with a condition on the prefix.
  role.addToPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
  for (const [action, patterns] of [
    ['s3:GetObject', reads],
    ['s3:PutObject', writes],
    ['s3:DeleteObject', deletes],
  ] as const) {
    if (patterns.length === 0) continue;
    const resources = patterns.map((pattern) => bucket.arnForObjects(pattern));
    role.addToPolicy(new PolicyStatement({ actions: [action], resources }));
  }
  const { stack } = role;
  const bucketId = stack.getLogicalId(bucket.node.defaultChild as CfnBucket);
  acknowledge(
    role,
    'A pattern stands for the models, which are not known when the stack is deployed, and for the objects of one kind.',
    ...new Set([...reads, ...writes, ...deletes].map((key) => `AwsSolutions-IAM5[Resource::<${bucketId}.Arn>/${key}]`)),
  );
}
