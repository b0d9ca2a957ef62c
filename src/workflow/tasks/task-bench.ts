import type { KeyStatistics, LayerSketch } from '../../editing/index.js';
import { Workbench } from '../../rounds/index.js';
import { openRegisteredModel } from '../model-files.js';
import type { PlannedRound } from '../plan/round-files.js';
import { type TaskDependencies, taskDevice } from './task-dependencies.js';

/** Opens the model of a planned round as a workbench. Dispose of it after use. */
export async function openTaskBench(
  dependencies: TaskDependencies,
  { plan, registration }: PlannedRound,
  parts: { readonly statistics?: readonly KeyStatistics[]; readonly sketches?: readonly LayerSketch[] } = {},
): Promise<Workbench> {
  const { store, memoryBudgetBytes } = dependencies;
  const { modelId, modelDigest, settings } = plan;
  const opened = await openRegisteredModel(dependencies, registration);
  const device = await taskDevice(dependencies);
  return new Workbench({ store, modelId, modelDigest, settings, ...opened, ...parts, device, memoryBudgetBytes });
}
