import { join } from 'node:path';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  type CfnFunction,
  type IFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LogLevel, NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { environmentNames, type FunctionStage, functionStages } from '../src/workflow/contract.js';
import { acknowledge } from './acknowledge.js';
import type { ArtifactBucket } from './artifact-bucket.js';
import { projectRoot } from './project-root.js';
import type { Settings } from './settings.js';
import { grantAccess, stageAccess } from './stage-access.js';

export interface StageFunctionsProps {
  readonly settings: Settings;
  readonly artifacts: ArtifactBucket;
  /** ARN of the state machine. It calls the functions, and some of them look at its executions. */
  readonly stateMachineArn: string;
  readonly deadLetters: IQueue;
}

interface Size {
  readonly memoryMiB: number;
  readonly timeout: Duration;
}

/** One whole processor. New accounts may not ask for much more memory. */
const oneProcessorMiB = 1769;

/** Publishing holds the bytes of a segment, ingesting and planning a whole batch, and ingesting tokenizes it. What they take at most is in docs/results.md. */
const sizes: Partial<Record<FunctionStage, Size>> = {
  ingest: { memoryMiB: oneProcessorMiB, timeout: Duration.minutes(15) },
  plan: { memoryMiB: oneProcessorMiB, timeout: Duration.minutes(5) },
  publish: { memoryMiB: oneProcessorMiB, timeout: Duration.minutes(10) },
};
const usualSize: Size = { memoryMiB: 1024, timeout: Duration.minutes(2) };

/** One function for each short stage, with its own role, log group and rights. */
export class StageFunctions extends Construct {
  readonly #functions: ReadonlyMap<FunctionStage, IFunction>;

  constructor(scope: Construct, id: string, props: StageFunctionsProps) {
    super(scope, id);
    const made = functionStages.map((stage) => [stage, this.#make(stage, props)] as const);
    this.#functions = new Map(made);
    this.#letAskForExecutions(props.stateMachineArn);
  }

  of(stage: FunctionStage): IFunction {
    return this.#functions.get(stage) as IFunction;
  }

  /** Name of a function in the template. */
  logicalIdOf(stage: FunctionStage): string {
    const { node, stack } = this.of(stage);
    return stack.getLogicalId(node.defaultChild as CfnFunction);
  }

  #make(stage: FunctionStage, { settings, artifacts, stateMachineArn, deadLetters }: StageFunctionsProps): IFunction {
    const { memoryMiB, timeout } = sizes[stage] ?? usualSize;
    const logGroup = new LogGroup(this, `${pascal(stage)}Logs`, {
      retention: settings.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, `${pascal(stage)}Role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    const made = new NodejsFunction(this, pascal(stage), {
      description: `hookline: stage ${stage}`,
      entry: join(projectRoot(), 'functions', `${stage}.ts`),
      projectRoot: projectRoot(),
      depsLockFilePath: join(projectRoot(), 'package-lock.json'),
      runtime: Runtime.NODEJS_22_X,
      architecture: settings.functionArchitecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
      memorySize: memoryMiB,
      timeout,
      role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      environment: {
        [environmentNames.store]: artifacts.storeUrl,
        [environmentNames.stateMachine]: stateMachineArn,
        NODE_OPTIONS: '--enable-source-maps',
      },
      // Only events call a function asynchronously. The state machine waits for its calls and retries them itself.
      ...(stage === 'collect' ? { onFailure: new SqsDestination(deadLetters), retryAttempts: 2 } : {}),
      bundling: {
        format: OutputFormat.ESM,
        target: 'node22',
        sourceMap: true,
        sourcesContent: false,
        logLevel: LogLevel.WARNING,
        // Bundles the SDK of the lock file, not that of the runtime. Packages in CommonJS need `require`.
        bundleAwsSDK: true,
        // A native package. No function uses it, so nothing of it is left in a bundle.
        externalModules: ['onnxruntime-node'],
        banner: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    });
    grantAccess(artifacts.bucket, role, stageAccess[stage]);
    if (['lease', 'collect', 'notify'].includes(stage)) acknowledge(role, ...anyExecution(settings));
    acknowledge(role, 'X-Ray knows no resources.', 'AwsSolutions-IAM5[Resource::*]');
    acknowledge(made, 'All stages run on the Node of the container image, which is this one.', 'AwsSolutions-L1');
    return made;
  }

  /** Functions that use the lease ask whether its holder still runs. Only `collect` starts executions. */
  #letAskForExecutions(stateMachineArn: string): void {
    const executions = `${stateMachineArn.replace(':stateMachine:', ':execution:')}:*`;
    for (const [stage, action, resource] of [
      ['lease', 'states:DescribeExecution', executions],
      ['collect', 'states:DescribeExecution', executions],
      ['notify', 'states:DescribeExecution', executions],
      ['collect', 'states:StartExecution', stateMachineArn],
    ] as const) {
      this.of(stage).addToRolePolicy(new PolicyStatement({ actions: [action], resources: [resource] }));
    }
  }
}

const pascal = (stage: string): string => stage.charAt(0).toUpperCase() + stage.slice(1);

const anyExecution = ({ name }: Settings): [string, string] => [
  'Any execution of this one state machine may hold the lease.',
  `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:${name}:*]`,
];
