/** @file What keeps container tasks from the credentials of the instance that they run on. */
import { UserData } from 'aws-cdk-lib/aws-ec2';

/** Where an instance asks for its own credentials. Tasks get theirs at another address, from the ECS agent. */
const metadataAddress = '169.254.169.254';

/**
 * Commands of every boot of an instance, before the ECS agent starts. AWS Batch runs its tasks on the network of the host,
 * where the hop limit of the metadata service does not hold, and ECS_AWSVPC_BLOCK_IMDS neither. But a process keeps its user:
 * only root, such as the agent, reaches the service. Where that cannot be said, the agent does not start, so that no task does.
 */
export function metadataGuard(): UserData {
  const commands = UserData.forLinux();
  // Whoever asks is told at once, where an ICMP answer leaves it waiting.
  const rule = `OUTPUT -p tcp -d ${metadataAddress} -m owner ! --uid-owner 0 -j REJECT --reject-with tcp-reset`;
  commands.addCommands(
    `if ! iptables -w -C ${rule} 2>/dev/null && ! iptables -w -I ${rule}; then`,
    `  echo 'hookline: ${metadataAddress} is open to tasks, so none is run' >&2`,
    '  systemctl mask ecs',
    'fi',
  );
  return commands;
}
