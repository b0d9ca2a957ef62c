import { Tags } from 'aws-cdk-lib';
import {
  AllocationStrategy,
  type CfnComputeEnvironment,
  EcsMachineImageType,
  ManagedEc2EcsComputeEnvironment,
} from 'aws-cdk-lib/aws-batch';
import {
  BlockDeviceVolume,
  EbsDeviceVolumeType,
  InstanceType,
  LaunchTemplate,
  MultipartBody,
  MultipartUserData,
} from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.js';
import { cacheDisk } from './instance-disk.js';
import { metadataGuard } from './instance-metadata.js';
import type { Network } from './network.js';
import type { Settings } from './settings.js';

export interface ComputeEnvironmentsProps {
  readonly settings: Settings;
  readonly network: Network;
  /** User that tasks run as. */
  readonly userId: string;
}

/** Two fleets of GPU instances, Spot and On-Demand, both empty while there is no work. */
export class ComputeEnvironments extends Construct {
  readonly spot: ManagedEc2EcsComputeEnvironment;
  readonly onDemand: ManagedEc2EcsComputeEnvironment;

  constructor(scope: Construct, id: string, props: ComputeEnvironmentsProps) {
    super(scope, id);
    const { maxVcpus, spotPercentage } = props.settings;
    const launchTemplate = this.#launchTemplate(props);
    const common = { ...fleet(props), launchTemplate };
    this.spot = new ManagedEc2EcsComputeEnvironment(this, 'Spot', {
      ...common,
      spot: true,
      spotBidPercentage: spotPercentage,
      allocationStrategy: AllocationStrategy.SPOT_PRICE_CAPACITY_OPTIMIZED,
      maxvCpus: maxVcpus.spot,
    });
    this.onDemand = new ManagedEc2EcsComputeEnvironment(this, 'OnDemand', {
      ...common,
      allocationStrategy: AllocationStrategy.BEST_FIT_PROGRESSIVE,
      maxvCpus: maxVcpus.onDemand,
    });
    acknowledge(
      this,
      'The policy that AWS Batch asks for: what the ECS agent of an instance needs. Tasks have roles of their own.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role]',
    );
    for (const fleet of [this.spot, this.onDemand]) followLaunchTemplate(fleet, launchTemplate);
  }

  #launchTemplate({ settings, userId }: ComputeEnvironmentsProps): LaunchTemplate {
    const volume = BlockDeviceVolume.ebs(settings.diskGiB, {
      encrypted: true,
      volumeType: EbsDeviceVolumeType.GP3,
      deleteOnTermination: true,
    });
    const template = new LaunchTemplate(this, 'LaunchTemplate', {
      blockDevices: [{ deviceName: '/dev/xvda', volume }],
      userData: bootCommands(userId),
      // One hop: not over a bridge. Tasks on the network of the host are kept away by a rule of the boot.
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      httpProtocolIpv6: false,
    });
    Tags.of(template).add('Name', `${settings.name}-gpu`);
    return template;
  }
}

/** AWS Batch puts its own parts to these, which it takes as MIME parts only. */
function bootCommands(userId: string): MultipartUserData {
  const parts = new MultipartUserData();
  parts.addUserDataPart(metadataGuard(), MultipartBody.CLOUD_BOOTHOOK);
  parts.addUserDataPart(cacheDisk(userId), MultipartBody.SHELL_SCRIPT, true);
  return parts;
}

/** Makes new deployments of the template take effect. By default instances keep its first version. */
function followLaunchTemplate(environment: ManagedEc2EcsComputeEnvironment, template: LaunchTemplate): void {
  const resource = environment.node.defaultChild as CfnComputeEnvironment;
  resource.addPropertyOverride('ComputeResources.LaunchTemplate.Version', template.latestVersionNumber);
}

const fleet = ({ settings, network }: ComputeEnvironmentsProps) => ({
  vpc: network.vpc,
  vpcSubnets: { subnets: network.vpc.privateSubnets },
  securityGroups: [network.securityGroup],
  instanceTypes: settings.instanceTypes.map((name) => new InstanceType(name)),
  useOptimalInstanceClasses: false,
  images: [{ imageType: EcsMachineImageType.ECS_AL2023_NVIDIA }],
  minvCpus: 0,
  // Tasks on a replaced instance are ended after half an hour and tried again.
  terminateOnUpdate: false,
  updateToLatestImageVersion: true,
});
