/** @file What the programs of a soak say to each other, as lines of JSON. */
import type { FaultRates } from './chaos-store.js';

/** What a runner and its tasks tell the driver. */
export type Message =
  | { readonly kind: 'ready' }
  | { readonly kind: 'entered' | 'left'; readonly execution: string; readonly state: string; readonly isTask: boolean }
  | { readonly kind: 'task'; readonly pid: number; readonly stage: string }
  | { readonly kind: 'task ended'; readonly pid: number; readonly stage: string }
  | { readonly kind: 'lost reply' | 'conflict'; readonly key: string }
  | { readonly kind: 'warning'; readonly text: string };

/** What the driver tells a runner: an event of a dropped object, or what a schedule asks for. */
export interface Command {
  readonly event?: string;
  readonly collect?: true;
}

/** What a runner is started with. */
export interface RunnerOptions {
  readonly storeFolder: string;
  readonly cacheFolder: string;
  readonly workflowPath: string;
  readonly taskProgram: string;
  readonly seed: number;
  readonly rates: FaultRates;
  /** Container tasks at once. */
  readonly tasks: number;
  /** Whether its clock is set back and forth, by up to a month. */
  readonly hasJumpingClock?: boolean;
}

/** Environment variables of tasks beside those of the container. */
export const taskVariables = { seed: 'SOAK_SEED', rates: 'SOAK_RATES' } as const;

/** What tasks are told of the arrangement that they are part of, as JSON in an environment variable. */
export interface ShardRun {
  /** Where they note their begin and end. */
  readonly log: string;
  readonly seed: number;
  readonly longestPauseSeconds: number;
  /** Tasks, as `<stage> <shard>`, that are killed at their first attempt. */
  readonly killedOnce: readonly string[];
}

export const shardRunVariable = 'SOAK_SHARD_RUN';

/** Remarks of a task that begin so are for the driver. */
export const noticePrefix = 'soak ';
