import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidInputError } from '../../errors.js';
import { LocalWorkflow, loadWorkflow, reapExecutions, Slots, type WorkflowListener } from '../../local/index.js';
import { type ObjectStore, openStore } from '../../registry/index.js';
import { loadOnnxRuntime } from '../../runtime/index.js';
import { environmentNames, stageFunctions } from '../../workflow/index.js';
import type { WorkflowOptions } from '../options/workflow-options.js';

/** A store and the workflow that runs on it on this machine. */
export interface OpenWorkflow {
  readonly store: ObjectStore;
  readonly workflow: LocalWorkflow;
}

/**
 * Opens a store and the state machine that the build has synthesized.
 *
 * @throws {InvalidInputError} if the store is in this process's memory, which child processes cannot read
 * @throws {PermanentError} if ONNX Runtime is missing; checked here so that not every task reports it again
 */
export async function openWorkflow(options: WorkflowOptions, listener: WorkflowListener): Promise<OpenWorkflow> {
  const location = storeLocation(options.store);
  await loadOnnxRuntime();
  const store = openStore(location, { settleSeconds: options.settle });
  await reapExecutions(store);
  const { tasks, device, solver, memoryBudget } = options;
  const environment = {
    [environmentNames.store]: location,
    [environmentNames.device]: device,
    [environmentNames.solver]: solver,
    ...(memoryBudget !== undefined && { [environmentNames.memoryBudget]: `${memoryBudget}MiB` }),
  };
  const workflow = new LocalWorkflow({
    store,
    workflow: await loadWorkflow(built('workflow.json')),
    functions: (executions) => stageFunctions({ store, executions, now: () => new Date() }),
    host: {
      entryPoint: built('containers/main.js'),
      environment,
      slots: new Slots(tasks),
      backoffSeconds: 1,
      graceSeconds: 20,
    },
    listener,
  });
  return { store, workflow };
}

/** The absolute location of a store. Child processes may have another working directory. */
export function storeLocation(location: string): string {
  if (!location.includes(':')) return resolve(location);
  if (location.startsWith('memory:'))
    throw new InvalidInputError('--store', 'a folder or s3://bucket/prefix', location);
  return location.startsWith('file:') ? fileURLToPath(location) : location;
}

function built(name: string): string {
  const path = fileURLToPath(new URL(`../../${name}`, import.meta.url));
  if (!existsSync(path)) throw new InvalidInputError(join('dist', name), 'there (npm run build writes it)', 'nothing');
  return path;
}
