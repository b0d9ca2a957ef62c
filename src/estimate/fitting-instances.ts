/** @file The instance types with enough memory for a job. */
import type { EstimateRequest } from './estimate-request.js';
import { type Machine, machinesOf } from './rates.js';
import { memorySizes, plannedStages, type StageMemory, stageMemory } from './stage-memory.js';

/** Share of the memory that system and driver leave. */
const usableShare = 0.94;
const gibibyte = 2 ** 30;

/** Whether a machine has the memory for a stage. Every GPU has its own task, and tasks share the host. */
export function fits({ device, host }: StageMemory, machine: Machine, tasks: number): boolean {
  const { devices, hostMemoryGiB } = machine.instance;
  const together = Math.min(tasks, devices);
  return (
    device <= usableShare * machine.deviceMemoryGiB * gibibyte &&
    together * host <= usableShare * hostMemoryGiB * gibibyte
  );
}

/** Names of all types of the list that hold every stage, the cheapest first. */
export function fittingInstances(request: EstimateRequest): string[] {
  return machinesOf(request.rates)
    .filter((machine) => {
      const sizes = memorySizes({ ...request, machine });
      const tasksOf = (stage: string) => (stage === 'merge' || stage === 'solve' ? 1 : request.shards);
      return plannedStages.every((stage) => fits(stageMemory(stage, sizes), machine, tasksOf(stage)));
    })
    .toSorted((a, b) => a.instance.dollarsPerHour - b.instance.dollarsPerHour)
    .map(({ instance }) => instance.name);
}
