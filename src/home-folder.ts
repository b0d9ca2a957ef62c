import { homedir, tmpdir } from 'node:os';

/**
 * Gives a process a home where its user has none, as any user number in a container: the AWS SDK looks for its settings
 * there, and would end the process.
 */
export function ensureHomeFolder(): void {
  try {
    homedir();
  } catch {
    process.env.HOME = tmpdir();
  }
}
