import { isOfMachine, PermanentError, StaleBaseError, TransientError } from '../errors.js';
import { errorNames } from '../workflow/index.js';

/** An error with the name that the state machine's Retry and Catch match. */
export class StateError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/**
 * An error as the state machine sees it. It is `TransientError` if another attempt may help, and `PermanentError` if
 * not, and `MachineError` if this machine lacks something. A moved base and unexpected errors keep their own names.
 */
export function stateErrorOf(error: unknown): StateError {
  if (error instanceof StateError) return error;
  if (!(error instanceof Error)) return new StateError('Error', String(error));
  if (isOfMachine(error)) return new StateError(errorNames.machine, error.message);
  if (error instanceof StaleBaseError) return new StateError(errorNames.staleBase, error.message);
  if (error instanceof PermanentError) return new StateError(errorNames.permanent, error.message);
  if (error instanceof TransientError) return new StateError(errorNames.transient, error.message);
  return new StateError(error.name, error.message);
}
