import { Duration, RemovalPolicy, Size } from 'aws-cdk-lib';
import {
  Action,
  EcsEc2ContainerDefinition,
  EcsJobDefinition,
  EcsVolume,
  JobQueue,
  JobStateTimeLimitActionsAction,
  JobStateTimeLimitActionsReason,
  JobStateTimeLimitActionsState,
  Reason,
  RetryStrategy,
} from 'aws-cdk-lib/aws-batch';
import { type ContainerImage, LogDriver } from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { environmentNames, exitCodes, type TaskStage, taskStages } from '../src/workflow/contract.js';
import { acknowledge } from './acknowledge.js';
import type { ArtifactBucket } from './artifact-bucket.js';
import { ComputeEnvironments } from './compute-environments.js';
import { hostCacheFolder } from './instance-disk.js';
import { Network } from './network.js';
import type { Settings } from './settings.js';
import { grantAccess, stageAccess } from './stage-access.js';
import { taskImage } from './task-image.js';

export interface GpuJobsProps {
  readonly settings: Settings;
  readonly artifacts: ArtifactBucket;
}

/** The parts that all job definitions share. */
interface CommonParts extends GpuJobsProps {
  readonly image: ContainerImage;
  readonly executionRole: Role;
  readonly logs: LogGroup;
}

/** Attempts of one job. A reclaimed Spot instance costs one. */
export const taskAttempts = 3;

/** The image's user `node`. */
const userId = '1000';
const cacheFolder = '/cache';

/** The queue of container tasks, Spot first and On-Demand behind it, and one job definition for each stage. */
export class GpuJobs extends Construct {
  readonly queue: JobQueue;
  readonly #definitions: ReadonlyMap<TaskStage, EcsJobDefinition>;

  constructor(scope: Construct, id: string, { settings, artifacts }: GpuJobsProps) {
    super(scope, id);
    const network = new Network(this, 'Network', settings);
    const fleets = new ComputeEnvironments(this, 'Fleets', { settings, network, userId });
    this.queue = new JobQueue(this, 'Queue', {
      computeEnvironments: [
        { computeEnvironment: fleets.spot, order: 1 },
        { computeEnvironment: fleets.onDemand, order: 2 },
      ],
      jobStateTimeLimitActions: stuckJobReasons.map((reason) => ({
        reason,
        action: JobStateTimeLimitActionsAction.CANCEL,
        state: JobStateTimeLimitActionsState.RUNNABLE,
        maxTime: Duration.minutes(settings.queueLimitMinutes),
      })),
    });
    const common: CommonParts = {
      settings,
      artifacts,
      image: taskImage(this, settings.imageUri),
      executionRole: this.#executionRole(),
      logs: new LogGroup(this, 'Logs', {
        retention: settings.logRetentionDays,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    };
    this.#definitions = new Map(taskStages.map((stage) => [stage, this.#define(stage, common)]));
  }

  definitionOf(stage: TaskStage): EcsJobDefinition {
    return this.#definitions.get(stage) as EcsJobDefinition;
  }

  /** The role that pulls the image and writes the logs. Tasks themselves cannot use it. */
  #executionRole(): Role {
    const role = new Role(this, 'ExecutionRole', { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
    acknowledge(role, 'Who logs in to ECR logs in to all of it.', 'AwsSolutions-IAM5[Resource::*]');
    return role;
  }

  #define(stage: TaskStage, { settings, artifacts, image, executionRole, logs }: CommonParts): EcsJobDefinition {
    const name = stage.charAt(0).toUpperCase() + stage.slice(1);
    const jobRole = new Role(this, `${name}Role`, { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
    grantAccess(artifacts.bucket, jobRole, stageAccess[stage]);
    const container = new EcsEc2ContainerDefinition(this, `${name}Container`, {
      image,
      jobRole,
      executionRole,
      command: [stage],
      cpu: settings.job.vcpus,
      memory: Size.mebibytes(settings.job.memoryMiB),
      // Merging needs a GPU too: it factorises matrices and lets the model write the context templates.
      gpu: 1,
      user: userId,
      privileged: false,
      volumes: [EcsVolume.host({ name: 'cache', hostPath: hostCacheFolder, containerPath: cacheFolder })],
      environment: {
        [environmentNames.store]: artifacts.storeUrl,
        [environmentNames.cache]: cacheFolder,
        [environmentNames.device]: 'cuda',
      },
      logging: LogDriver.awsLogs({ logGroup: logs, streamPrefix: stage }),
    });
    return new EcsJobDefinition(this, name, {
      jobDefinitionName: `${settings.name}-${stage}`,
      container,
      retryAttempts: taskAttempts,
      retryStrategies: retries,
      timeout: Duration.minutes(settings.attemptMinutes[stage]),
      propagateTags: true,
      // An execution under way keeps the definitions that it began with.
      skipDeregisterOnUpdate: true,
    });
  }
}

const stuckJobReasons = [
  JobStateTimeLimitActionsReason.INSUFFICIENT_INSTANCE_CAPACITY,
  JobStateTimeLimitActionsReason.COMPUTE_ENVIRONMENT_MAX_RESOURCE,
  JobStateTimeLimitActionsReason.JOB_RESOURCE_REQUIREMENT,
];

/** The first matching rule decides. */
const retries = [
  // The task's exit code says that another attempt cannot help.
  RetryStrategy.of(Action.EXIT, Reason.custom({ onExitCode: String(exitCodes.permanent) })),
  RetryStrategy.of(Action.RETRY, Reason.SPOT_INSTANCE_RECLAIMED),
  // Everything else, such as a store that does not answer or a device out of memory. Stored work is not repeated.
  RetryStrategy.of(Action.RETRY, Reason.custom({ onReason: '*' })),
];
