import { type ChildProcess, spawn } from 'node:child_process';
import { TransientError } from '../errors.js';

/** How a command of the user's runs. */
interface ShellCommandOptions {
  /** Variables beside those of this process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the command's standard output goes. */
  readonly output: 'standard output' | 'standard error';
  /** Passed on to the command; its reason is the signal's name. */
  readonly stopping: AbortSignal;
}

// With a process group of its own, signals reach everything that the shell started.
const hasGroups = process.platform !== 'win32';

/**
 * Runs a command through the shell to its end.
 * @throws {TransientError} unless it ends with exit code 0
 */
export async function runShellCommand(command: string, options: ShellCommandOptions): Promise<void> {
  const { environment, output, stopping } = options;
  const child = spawn(command, {
    shell: true,
    detached: hasGroups,
    stdio: ['ignore', output === 'standard output' ? 1 : 2, 2],
    env: { ...process.env, ...environment },
  });
  const pass = () => send(child, typeof stopping.reason === 'string' ? (stopping.reason as NodeJS.Signals) : 'SIGTERM');
  const end = () => send(child, 'SIGKILL');
  stopping.addEventListener('abort', pass);
  process.on('exit', end);
  try {
    const outcome = await outcomeOf(child);
    if (outcome !== 'exit code 0')
      throw new TransientError(`command ${JSON.stringify(command)}: exit code 0, got ${outcome}`);
  } finally {
    process.off('exit', end);
    stopping.removeEventListener('abort', pass);
  }
}

function outcomeOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code === null ? `signal ${signal}` : `exit code ${code}`));
  });
}

function send(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (hasGroups) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch (error) {
    // It has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
