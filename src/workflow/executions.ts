import type { ObjectStore } from '../registry/index.js';
import type { ExecutionInput } from './contract.js';

/** The executions of the workflow, wherever they run. */
export interface Executions {
  /** Whether an execution may still be at work. False for one that ended, and for one that nobody knows. */
  isRunning(executionId: string): Promise<boolean>;
  /** Starts an execution. @returns its id */
  start(input: ExecutionInput): Promise<string>;
}

/** What the stages that run as functions work with. */
export interface StageDependencies {
  readonly store: ObjectStore;
  readonly executions: Executions;
  /** The clock. */
  readonly now: () => Date;
}

/** The name in an execution's id: the last part of an ARN, or the id itself. */
export const executionNameOf = (executionId: string): string =>
  executionId.slice(executionId.lastIndexOf(':') + 1).replaceAll('/', '-');
