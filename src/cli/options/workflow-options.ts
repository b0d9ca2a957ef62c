import { availableParallelism } from 'node:os';
import { Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { SolverChoice } from '../../linalg/index.js';
import type { DeviceChoice } from '../../runtime/index.js';
import type { OutputOptions } from '../terminal/terminal.js';
import { computeOptions, solverOption, storeOption, wholeNumber } from './model-options.js';
import { type SettingOptions, settingOptions } from './setting-options.js';

/** The options of a command that runs the workflow on this machine. */
export interface WorkflowOptions extends OutputOptions {
  readonly store: string;
  readonly tasks: number;
  /** Seconds. */
  readonly settle: number;
  readonly device: DeviceChoice;
  readonly solver: SolverChoice;
  /** MiB. */
  readonly memoryBudget?: number;
}

/** The options for registering a model. */
export interface RegistrationOptions extends SettingOptions {
  readonly corpus?: string;
  readonly heldOut?: string;
  readonly roundSize?: number;
  /** Stays as it is registered unless given. */
  readonly compareGates?: boolean;
}

const defaultTasks = Math.max(1, Math.floor(availableParallelism() / 2));

/** `--store`, `--tasks`, `--settle`, `--device`, `--seed`, `--memory-budget` and `--solver`. */
export const workflowOptions = (): Option[] => [
  storeOption(),
  new Option('--tasks <n>', 'container tasks that may run at once')
    .default(defaultTasks)
    .argParser(wholeNumber('--tasks', { min: 1, max: 256 })),
  new Option('--settle <seconds>', 'how long a dropped file must be unchanged before it is taken')
    .default(1)
    .argParser(wholeNumber('--settle', { min: 0, max: 86_400 })),
  ...computeOptions(),
  solverOption(),
];

/** `--corpus`, `--held-out`, `--round-size`, `--preset`, `--set` and `--compare-gates`. */
export const registrationOptions = (): Option[] => [
  new Option('--corpus <file>', 'text for the key statistics (the covariance of keys); needed once per model'),
  new Option('--held-out <file>', 'ordinary text on which drift is measured: plain text or JSONL'),
  new Option('--round-size <n>', 'most edits of a round').argParser(wholeNumber('--round-size', { min: 1 })),
  ...settingOptions(),
  new Option('--compare-gates', "measure the other kinds of gate too, for each version's report"),
  new Option('--no-compare-gates', 'do not, which is the default'),
];

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `--schedule`: `30s`, `5m`, `2h`, or `off` as undefined. @throws {InvalidInputError} for anything else */
export function parseInterval(text: string): number | undefined {
  if (text === 'off') return undefined;
  const [, digits, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const seconds = Number(digits) * unitSeconds[unit];
  if (seconds >= 1 && seconds <= 7 * 86_400) return seconds;
  throw new InvalidInputError('--schedule', 'off or an interval such as 30s, 5m or 2h', JSON.stringify(text));
}

/** A model to register: its directory, and its id if that differs from the folder's name. */
export interface NamedModel {
  readonly directory: string;
  readonly modelId?: string;
}

/** `--model <dir>` or `--model <id>=<dir>`, any number of times. */
export function collectModel(text: string, earlier: readonly NamedModel[] = []): NamedModel[] {
  const [, modelId, directory] = /^([a-z0-9][a-z0-9._-]*)=(.+)$/s.exec(text) ?? [];
  return [...earlier, directory === undefined ? { directory: text } : { directory, modelId }];
}
