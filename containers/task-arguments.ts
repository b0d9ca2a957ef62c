import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InvalidInputError } from '../src/errors.js';
import { type SolverRequest, solverChoices } from '../src/linalg/index.js';
import type { DeviceChoice } from '../src/runtime/index.js';
import { environmentNames, type TaskInput, taskInputSchema, taskStages } from '../src/workflow/contract.js';

/** Settings of a task from its environment. */
export interface TaskEnvironment {
  readonly storeLocation: string;
  readonly cacheFolder: string;
  readonly device: DeviceChoice;
  readonly solver: SolverRequest;
  /** Undefined means the default. */
  readonly memoryBudgetBytes: number | undefined;
}

/** Reads `<stage> --plan <key> [--shard <index>] [--attempt <number>]`. @throws {InvalidInputError} */
export function parseTask(words: readonly string[]): TaskInput {
  const { positionals, values } = parseWords(words);
  if (positionals.length !== 1) {
    throw new InvalidInputError('stage', `one of ${taskStages.join(', ')}`, positionals.join(' ') || 'none');
  }
  const { plan, shard, attempt } = values;
  const given = { stage: positionals[0], planKey: plan ?? '', shard: numberOf(shard), attempt: numberOf(attempt) };
  const parsed = taskInputSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new InvalidInputError(`task ${path.join('.')}`, message, JSON.stringify(words.join(' ')));
}

function parseWords(words: readonly string[]) {
  const option = { type: 'string' } as const;
  const options = { plan: option, shard: { ...option, default: '0' }, attempt: { ...option, default: '0' } };
  try {
    return parseArgs({ args: [...words], allowPositionals: true, options });
  } catch (cause) {
    throw new InvalidInputError('task', '<stage> --plan <key> --shard <index> --attempt <number>', words.join(' '), {
      cause,
    });
  }
}

const numberOf = (text: string): number => (/^\d{1,9}$/.test(text) ? Number(text) : Number.NaN);

const devices: readonly DeviceChoice[] = ['auto', 'cpu', 'cuda', 'webgpu'];

/** Reads the environment variables of a task. @throws {InvalidInputError} naming the one that is missing or wrong */
export function parseEnvironment(variables: Readonly<Record<string, string | undefined>>): TaskEnvironment {
  const { store, cache, device: deviceName, memoryBudget } = environmentNames;
  const storeLocation = variables[store];
  if (!storeLocation) throw new InvalidInputError(store, 's3://bucket[/prefix] or a folder', 'nothing');
  const given = variables[deviceName] || 'auto';
  const device = devices.find((choice) => choice === given);
  if (device === undefined) throw new InvalidInputError(deviceName, `one of ${devices.join(', ')}`, given);
  return {
    storeLocation,
    cacheFolder: variables[cache] || join(homedir(), '.cache', 'hookline'),
    device,
    solver: parseSolver(variables),
    memoryBudgetBytes: parseBytes(memoryBudget, variables[memoryBudget]),
  };
}

function parseSolver(variables: Readonly<Record<string, string | undefined>>): SolverRequest {
  const { solver, tensorflow } = environmentNames;
  const given = variables[solver] || 'auto';
  const choice = solverChoices.find((name) => name === given);
  if (choice === undefined) throw new InvalidInputError(solver, `one of ${solverChoices.join(', ')}`, given);
  const tensorflowFolder = variables[tensorflow];
  return { choice, ...(tensorflowFolder && { tensorflowFolder }) };
}

const unitBytes: Readonly<Record<string, number>> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

function parseBytes(what: string, text: string | undefined): number | undefined {
  if (!text) return undefined;
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([KMG]iB|)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * unitBytes[unit ?? '']);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidInputError(what, 'a size such as 2GiB or 512MiB', JSON.stringify(text));
}
