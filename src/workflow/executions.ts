import type { ObjectStore } from '../registry/index.js';
import type { ExecutionInput } from './contract.js';

/** The executions of the workflow, on AWS or on this machine. */
export interface Executions {
  /** Whether an execution may still be running. False for one that ended or that is unknown. */
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

/** An execution's name: the last part of its id if that is an ARN, or else the id itself. */
export const executionNameOf = (executionId: string): string =>
  executionId.slice(executionId.lastIndexOf(':') + 1).replaceAll('/', '-');
