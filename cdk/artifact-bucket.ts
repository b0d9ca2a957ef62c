import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  type CfnBucket,
  type IBucket,
  type LifecycleRule,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { inboxPrefix, modelPrefix, valuesPrefix } from '../src/registry/keys.js';
import { acknowledge } from './acknowledge.js';
import { keyPatterns } from './key-patterns.js';
import type { Settings } from './settings.js';

/** The object store: inboxes, work files, published versions. It sends an event to EventBridge for every object. */
export class ArtifactBucket extends Construct {
  readonly bucket: Bucket;
  /** Location of the store, as the stages get it. */
  readonly storeUrl: string;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id);
    const accessLogs = new Bucket(this, 'AccessLogs', {
      ...guarded,
      lifecycleRules: [{ expiration: Duration.days(settings.logRetentionDays) }],
    });
    acknowledge(
      accessLogs,
      'It holds the access logs itself: logging its own accesses would never end.',
      'AwsSolutions-S1',
    );
    this.bucket = new Bucket(this, 'Bucket', {
      ...guarded,
      versioned: true,
      // The class declares properties as optional that its interface does not accept as undefined.
      serverAccessLogsBucket: accessLogs as IBucket,
      serverAccessLogsPrefix: 'artifacts/',
      lifecycleRules: lifecycleRules(settings),
    });
    this.storeUrl = `s3://${this.bucket.bucketName}`;
    // `eventBridgeEnabled` would deploy a function only to set this property.
    (this.bucket.node.defaultChild as CfnBucket).notificationConfiguration = {
      eventBridgeConfiguration: { eventBridgeEnabled: true },
    };
    this.bucket.addToResourcePolicy(refuseBlindWrites(this.bucket));
  }
}

const guarded: BucketProps = {
  encryption: BucketEncryption.S3_MANAGED,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  removalPolicy: RemovalPolicy.RETAIN,
};

/**
 * Refuses writes of a pointer or a lease that do not name the state they replace, whatever the caller's rights. A write
 * is refused if both conditions hold: it has neither an ETag nor requires absence.
 */
const refuseBlindWrites = (bucket: Bucket): PolicyStatement =>
  new PolicyStatement({
    sid: 'RefuseUnconditionalWrites',
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['s3:PutObject'],
    resources: [keyPatterns.latest, keyPatterns.lease].map((pattern) => bucket.arnForObjects(pattern)),
    conditions: { Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' } },
  });

function lifecycleRules(settings: Settings): LifecycleRule[] {
  const workFiles = Duration.days(settings.workFileDays);
  return [
    {
      id: 'replaced-and-deleted',
      noncurrentVersionExpiration: Duration.days(settings.noncurrentVersionDays),
      abortIncompleteMultipartUploadAfter: Duration.days(7),
      expiredObjectDeleteMarker: true,
    },
    // Objects that are still in an inbox after that time were never accepted as a batch.
    { id: 'left-in-inbox', prefix: inboxPrefix, expiration: workFiles },
    // A rule has a prefix, not a pattern, so only models in the settings have one.
    ...settings.models.flatMap(({ id }) => [
      { id: `rounds-of-${id}`, prefix: `${modelPrefix(id)}rounds/`, expiration: workFiles },
      { id: `values-of-${id}`, prefix: valuesPrefix(id), expiration: workFiles },
    ]),
  ];
}
