import { isOfMachine, PermanentError } from '../errors.js';
import { exitCodes } from './contract.js';

/** The exit code of a container task that failed with an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof PermanentError) return exitCodes.permanent;
  return isOfMachine(error) ? exitCodes.machine : exitCodes.retry;
}
