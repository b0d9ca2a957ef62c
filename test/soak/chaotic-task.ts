import { parseEnvironment, parseTask } from '../../containers/task-arguments.js';
import { defaultMemoryBudgetBytes } from '../../src/editing/index.js';
import { openStore } from '../../src/registry/index.js';
import { exitCodeOf, exitCodes, runTask } from '../../src/workflow/index.js';
import { uniform } from '../support/random-matrix.js';
import { type FaultRates, withChaos } from './chaos-store.js';
import { type Message, taskVariables } from './messages.js';

/** Runs one task as the container does. @returns its exit code */
export async function runChaoticTask(words: readonly string[], tell: (message: Message) => void): Promise<number> {
  try {
    const input = parseTask(words);
    const { storeLocation, cacheFolder, device } = parseEnvironment(process.env);
    const rates = JSON.parse(process.env[taskVariables.rates] ?? '') as FaultRates;
    const random = uniform(Number(process.env[taskVariables.seed]) + process.pid);
    const store = withChaos(openStore(storeLocation), rates, random, ({ kind, key }) => tell({ kind, key }));
    const place = { cacheFolder, device, memoryBudgetBytes: defaultMemoryBudgetBytes };
    await runTask(input, { store, ...place, listener: {} });
    return exitCodes.done;
  } catch (error) {
    const { name, message } = error as Error;
    console.error(JSON.stringify({ error: name, message }));
    return exitCodeOf(error);
  }
}
