import { CommanderError } from 'commander';
import { HooklineError, PermanentError } from '../../errors.js';

/** How a failed command ends. */
export interface Failure {
  /** 64: the same call cannot succeed. 1: anything else. */
  readonly exitCode: 0 | 1 | 64;
  /** One line; undefined where everything has been said. */
  readonly message?: string;
  /** Whether nobody foresaw it, so that its stack may help. */
  readonly isUnexpected: boolean;
}

/** What the end of a command means to its caller. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (error instanceof PermanentError) return { exitCode: 64, message, isUnexpected: false };
  if (error instanceof HooklineError) return { exitCode: 1, message, isUnexpected: false };
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code !== undefined && filesystemCodes.has(code)) return { exitCode: 1, message, isUnexpected: false };
  return { exitCode: 1, message: `unexpected: ${message}`, isUnexpected: true };
}

/** What the disk says speaks for itself. */
const filesystemCodes = new Set(['EACCES', 'EPERM', 'ENOENT', 'ENOSPC', 'EROFS', 'EISDIR', 'ENOTDIR', 'EMFILE']);

function usageFailure(error: CommanderError): Failure {
  if (error.exitCode === 0) return { exitCode: 0, isUnexpected: false };
  // A bare `hookline` has shown its help.
  if (error.code === 'commander.help') return { exitCode: 64, isUnexpected: false };
  return { exitCode: 64, message: oneLine(error.message.replace(/^error: /, '')), isUnexpected: false };
}

function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
