import { type ChildProcess, spawn } from 'node:child_process';
import { TransientError } from '../../errors.js';

/** How to run a command that the user gave. */
interface ShellCommandOptions {
  /** Variables that are added to those of this process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the command's standard output goes. */
  readonly output: 'standard output' | 'standard error';
  /** When it aborts, the command gets the signal that its reason names. */
  readonly stopping: AbortSignal;
  /** The longest time that the command can take; unlimited by default. */
  readonly timeoutSeconds?: number;
}

/** The time between SIGTERM and SIGKILL for a command that took too long. */
const graceSeconds = 5;

// With a process group of its own, signals reach everything that the shell started.
const hasGroups = process.platform !== 'win32';

/**
 * Runs a command through the shell and waits for its end. If it takes too long, it and all processes it started get
 * SIGTERM, then SIGKILL.
 * @throws {TransientError} unless it ends in time and with exit code 0
 */
export async function runShellCommand(command: string, options: ShellCommandOptions): Promise<void> {
  const { environment, output, stopping, timeoutSeconds } = options;
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
  const told = timeoutSeconds && setTimeout(() => send(child, 'SIGTERM'), 1000 * timeoutSeconds);
  const killed = timeoutSeconds && setTimeout(end, 1000 * (timeoutSeconds + graceSeconds));
  const started = performance.now();
  try {
    const outcome = await outcomeOf(child);
    const wanted = timeoutSeconds === undefined ? 'exit code 0' : `exit code 0 within ${timeoutSeconds} s`;
    const isLate = timeoutSeconds !== undefined && performance.now() - started >= 1000 * timeoutSeconds;
    if (isLate || outcome !== 'exit code 0') {
      throw new TransientError(`command ${JSON.stringify(command)}: ${wanted}, got ${isLate ? 'no end' : outcome}`);
    }
  } finally {
    clearTimeout(told);
    clearTimeout(killed);
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
    // ESRCH means that the process has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
