import { basename, resolve } from 'node:path';
import { Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { SolverChoice, SolverRequest } from '../../linalg/index.js';
import type { DeviceChoice } from '../../runtime/index.js';
import type { OutputOptions } from '../terminal/terminal.js';

/** `--store`, `--model` and `--model-id`. */
export interface StoreOptions extends OutputOptions {
  /** A folder or URL. */
  readonly store: string;
  /** The model's directory. */
  readonly model?: string;
  readonly modelId?: string;
}

/** The options of every command that computes with a model. */
export interface ModelOptions extends StoreOptions {
  readonly model: string;
  readonly device: DeviceChoice;
  readonly seed?: number;
  /** MiB. */
  readonly memoryBudget?: number;
}

/** `--store <dir>`. */
export const storeOption = (): Option =>
  new Option('--store <dir>', 'where versions are kept: a folder, or s3://bucket/prefix')
    .env('HOOKLINE_STORE')
    .default('./hookline-store');

/** `--model-id <id>`. */
export const modelIdOption = (): Option =>
  new Option('--model-id <id>', "the model's name in the store (default: from its folder, or the only one there)");

/** `--model <dir>`. @param isRequired whether the command computes with it */
export const modelOption = (isRequired = true, description = 'the model: a Hugging Face directory'): Option =>
  new Option('--model <dir>', description).makeOptionMandatory(isRequired);

const devices: readonly DeviceChoice[] = ['auto', 'cpu', 'cuda', 'webgpu'];

/** `--device`, `--seed` and `--memory-budget`. */
export const computeOptions = (): Option[] => [
  new Option('--device <name>', 'what to compute on').choices(devices).default('auto'),
  new Option('--seed <n>', 'seed of everything that is drawn at random').argParser(
    wholeNumber('--seed', { min: 0, max: 2 ** 32 - 1 }),
  ),
  memoryBudgetOption('memory for activations'),
];

/** `--memory-budget <MiB>`. @param description what the memory is for */
export const memoryBudgetOption = (description: string): Option =>
  new Option('--memory-budget <MiB>', description).argParser(wholeNumber('--memory-budget', { min: 16 }));

/** The data types in which weights can be stored. */
export const weightDtypes = ['float32', 'float16', 'bfloat16'] as const;

const solvers: readonly SolverChoice[] = ['auto', 'onnx', 'tensorflow'];

/** `--solver`, for commands that may factor key statistics. */
export const solverOption = (): Option =>
  new Option(
    '--solver <name>',
    'what factors the key statistics; TensorFlow for Node.js is looked for in HOOKLINE_TFJS',
  )
    .choices(solvers)
    .default('auto');

/** The solver that `--solver` and the environment variables request. */
export function solverRequest({ solver }: { readonly solver: SolverChoice }): SolverRequest {
  const tensorflowFolder = process.env.HOOKLINE_TFJS;
  return { choice: solver, ...(tensorflowFolder && { tensorflowFolder }) };
}

/** `--layers 0,1,2`. @param description what the layers are for */
export const layersOption = (description: string): Option =>
  new Option('--layers <list>', description).argParser(parseLayers);

/** Parses layer numbers between commas. @throws {InvalidInputError} unless they are distinct whole numbers */
function parseLayers(text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  const layers = parts.map(Number);
  if (parts.every((part) => /^\d{1,6}$/.test(part)) && new Set(layers).size === layers.length) return layers;
  throw new InvalidInputError('--layers', 'different whole numbers such as 0,1,2', JSON.stringify(text));
}

/** The options of a command that reads and moves versions. */
export const storeOptions = (): Option[] => [
  storeOption(),
  modelIdOption(),
  modelOption(false, "the model's directory, of which only the name is asked"),
];

/** The options of a command that computes with a model and its versions. */
export const modelOptions = (): Option[] => [storeOption(), modelOption(), modelIdOption(), ...computeOptions()];

/** The memory budget in bytes, or undefined for the default. */
export function memoryBudgetBytes({ memoryBudget }: Pick<ModelOptions, 'memoryBudget'>): number | undefined {
  return memoryBudget === undefined ? undefined : memoryBudget * 2 ** 20;
}

/**
 * Makes a parser of whole numbers.
 *
 * @param what the name of the value in error messages
 */
export function wholeNumber(what: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): (text: string) => number {
  const upTo = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidInputError(what, `a whole number ${upTo}`, JSON.stringify(text));
  };
}

/** Makes a parser of finite numbers. @param what the name of the value in error messages */
export function finiteNumber(
  what: string,
  { min = -Number.MAX_VALUE, max = Number.MAX_VALUE } = {},
): (text: string) => number {
  const bounds =
    min === -Number.MAX_VALUE ? '' : max === Number.MAX_VALUE ? ` of at least ${min}` : ` from ${min} to ${max}`;
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max) return value;
    throw new InvalidInputError(what, `a number${bounds}`, JSON.stringify(text));
  };
}

/** Parses a version argument: `3`, `v3` or `000003`. */
export function parseVersion(text: string): number {
  const digits = /^v?(\d{1,6})$/.exec(text)?.[1];
  if (digits !== undefined && Number(digits) >= 1) return Number(digits);
  throw new InvalidInputError('version', 'a whole number from 1 to 999999', JSON.stringify(text));
}

/** The name of a model directory, from which its model gets its default id. */
export const modelFolderName = (directory: string): string => basename(resolve(directory));
