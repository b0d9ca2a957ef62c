import { Stack } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ContainerImage } from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { projectRoot } from './project-root.js';

const ecrUri =
  /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)(?:@(sha256:[0-9a-f]{64})|:([^:@]+))?$/;

/**
 * The image of all container tasks: the given one, or one built from containers/Dockerfile. Synthesis only takes a
 * fingerprint of the files that .dockerignore lets in. Docker is needed when the stack is deployed.
 */
export function taskImage(scope: Construct, imageUri: string): ContainerImage {
  if (imageUri === '') return ContainerImage.fromDockerImageAsset(builtImage(scope));
  const [, account, region, repositoryName, digest, tag] = ecrUri.exec(imageUri) ?? [];
  if (account === undefined || region === undefined || repositoryName === undefined) {
    return ContainerImage.fromRegistry(imageUri);
  }
  const repositoryArn = Stack.of(scope).formatArn({
    service: 'ecr',
    account,
    region,
    resource: 'repository',
    resourceName: repositoryName,
  });
  const repository = Repository.fromRepositoryAttributes(scope, 'Repository', { repositoryArn, repositoryName });
  return ContainerImage.fromEcrRepository(repository, digest ?? tag ?? 'latest');
}

const builtImage = (scope: Construct): DockerImageAsset =>
  new DockerImageAsset(scope, 'Image', {
    directory: projectRoot(),
    file: 'containers/Dockerfile',
    platform: Platform.LINUX_AMD64,
  });
