import { RemovalPolicy } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Settings } from './settings.js';

/** The network of the GPU instances: private subnets, no inbound traffic, and only TLS outbound. */
export class Network extends Construct {
  readonly vpc: IVpc;
  readonly securityGroup: SecurityGroup;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id);
    this.vpc =
      'vpcId' in settings.vpc
        ? Vpc.fromVpcAttributes(this, 'Vpc', copied(settings.vpc))
        : (this.#make(settings) as IVpc);
    this.securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: this.vpc,
      description: 'GPU tasks: no way in, TLS out',
      allowAllOutbound: false,
    });
    this.securityGroup.addEgressRule(Peer.anyIpv4(), Port.HTTPS, 'S3, ECR, ECS and CloudWatch');
  }

  #make({ vpc, logRetentionDays }: Settings): Vpc {
    if ('vpcId' in vpc) throw new Error('network: settings of a new VPC, got those of an existing one');
    const made = new Vpc(this, 'Vpc', {
      maxAzs: vpc.zones,
      natGateways: vpc.natGateways,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: 'tasks', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
      ],
      // Model files and image layers go through this endpoint, because the NAT gateway costs by the byte.
      gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
    });
    const logGroup = new LogGroup(this, 'FlowLogs', {
      retention: logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    made.addFlowLog('FlowLog', { destination: FlowLogDestination.toCloudWatchLogs(logGroup) });
    return made;
  }
}

const copied = (vpc: Extract<Settings['vpc'], { vpcId: string }>) => ({
  vpcId: vpc.vpcId,
  availabilityZones: [...vpc.availabilityZones],
  privateSubnetIds: [...vpc.privateSubnetIds],
});
