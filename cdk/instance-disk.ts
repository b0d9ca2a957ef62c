/** @file The disk on which GPU instances keep model files, prepared before the first task. */
import { UserData } from 'aws-cdk-lib/aws-ec2';

/** Folder of an instance that its tasks share, on the local NVMe disk if the instance has one. */
export const hostCacheFolder = '/var/lib/hookline';

/**
 * Commands of an instance's first boot.
 * @param userId owner of the folder: the user that tasks run as
 */
export function cacheDisk(userId: string): UserData {
  const commands = UserData.forLinux();
  commands.addCommands(
    `mkdir -p ${hostCacheFolder}`,
    'disk=$(ls /dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_* 2>/dev/null | head -n 1)',
    // Without a local disk the folder is on the root volume.
    `if [ -n "$disk" ]; then mkfs.xfs -f "$disk" && mount "$disk" ${hostCacheFolder}; fi`,
    `chown ${userId}:${userId} ${hostCacheFolder}`,
    `chmod 700 ${hostCacheFolder}`,
  );
  return commands;
}
