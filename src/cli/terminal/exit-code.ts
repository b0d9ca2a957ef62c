import { CommanderError } from 'commander';
import { HooklineError, PermanentError } from '../../errors.js';

/** How a failed command ends. */
export interface Failure {
  /** 64 if the same call can never succeed, 1 for any other failure, 0 for no failure. */
  readonly exitCode: 0 | 1 | 64;
  /** One line; undefined if there is nothing more to print. */
  readonly message?: string;
  /** Whether the error is unexpected, so that its stack may help. */
  readonly isUnexpected: boolean;
}

/** Converts an error to the exit code and message of the command. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (error instanceof PermanentError) return { exitCode: 64, message, isUnexpected: false };
  if (error instanceof HooklineError) return { exitCode: 1, message, isUnexpected: false };
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code !== undefined && filesystemCodes.has(code)) return { exitCode: 1, message, isUnexpected: false };
  return { exitCode: 1, message: `unexpected: ${message}`, isUnexpected: true };
}

/** File system errors whose own message is clear enough to print. */
const filesystemCodes = new Set(['EACCES', 'EPERM', 'ENOENT', 'ENOSPC', 'EROFS', 'EISDIR', 'ENOTDIR', 'EMFILE']);

function usageFailure(error: CommanderError): Failure {
  if (error.exitCode === 0) return { exitCode: 0, isUnexpected: false };
  // `hookline` without a command has already printed its help.
  if (error.code === 'commander.help') return { exitCode: 64, isUnexpected: false };
  return { exitCode: 64, message: oneLine(error.message.replace(/^error: /, '')), isUnexpected: false };
}

function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
