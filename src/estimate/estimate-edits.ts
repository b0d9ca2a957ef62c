/** @file The estimate of a whole job: time, memory and cost of its stages, for different numbers of shards. */
import { assumptionsOf } from './assumptions.js';
import {
  type ControlPlane,
  type Costs,
  controlDollars,
  instanceDollars,
  requestDollars,
  storageDollars,
  sumCosts,
} from './dollars.js';
import type { EstimateRequest } from './estimate-request.js';
import { fits, fittingInstances } from './fitting-instances.js';
import { limitsOf } from './limits.js';
import { modelParameters } from './model-size.js';
import { secondsOf } from './seconds-of.js';
import { memorySizes, type PlannedStage, plannedStages, type StageMemory, stageMemory } from './stage-memory.js';
import { roundRuns, type StageRun, segmentReadWork, statisticsRuns } from './stage-tasks.js';
import { flopsOf, noWork, sumWork, timesWork } from './work.js';
import { rebuildWork } from './write-work.js';

/** Time, memory and cost of a stage in all rounds together. */
export interface StageEstimate {
  readonly stage: PlannedStage;
  /** Tasks at the same time. */
  readonly tasks: number;
  readonly flops: number;
  /** From the stage's beginning to its end, summed over all rounds. */
  readonly seconds: number;
  /** The sum over all tasks. */
  readonly taskSeconds: number;
  readonly memory: StageMemory;
  readonly fits: boolean;
  readonly storedBytes: number;
  readonly requests: number;
  readonly costs: Costs;
}

/** The job with another number of shards. */
export interface ShardPlan {
  readonly shards: number;
  readonly instances: number;
  readonly seconds: number;
  readonly costs: Costs;
}

/** An estimate. */
export interface EditEstimate {
  readonly parameters: number;
  readonly rounds: number;
  readonly layers: readonly number[];
  readonly instances: number;
  readonly stages: readonly StageEstimate[];
  /** Until the first instance begins to compute. */
  readonly startSeconds: number;
  /** From the first request for an instance to the last published version. */
  readonly seconds: number;
  readonly flops: number;
  readonly storedBytes: number;
  readonly control: Costs;
  readonly costs: Costs;
  readonly storageDollarsPerMonth: number;
  readonly byShards: readonly ShardPlan[];
  /** Names of the instance types whose memory holds every stage, the cheapest first. */
  readonly fittingInstances: readonly string[];
  /** Limits of the program that the job exceeds; empty if there are none. */
  readonly limits: readonly string[];
  readonly assumptions: readonly string[];
}

/** Estimates a job. */
export function estimateEdits(request: EstimateRequest): EditEstimate {
  const job = planJob(request);
  const byShards = shardCounts(request.shards).map((shards): ShardPlan => {
    const { instances, seconds, costs } = shards === request.shards ? job : planJob({ ...request, shards });
    return { shards, instances, seconds, costs };
  });
  return {
    ...job,
    parameters: modelParameters(request.config),
    layers: request.settings.layers,
    byShards,
    fittingInstances: fittingInstances(request),
    limits: limitsOf(request),
    assumptions: assumptionsOf(request),
  };
}

/** 1, 2, 4 and so on, and the number itself. */
function shardCounts(shards: number): number[] {
  const powers = Array.from({ length: Math.ceil(Math.log2(shards)) }, (_, power) => 2 ** power);
  return [...powers.filter((count) => count < shards), shards];
}

function planJob(request: EstimateRequest) {
  const { shards, machine, rates } = request;
  const rounds = Math.ceil(request.edits / request.roundSize);
  const accounts = new Map(plannedStages.map((stage) => [stage, new StageAccount(stage, request)]));
  for (const run of statisticsRuns(request)) accounts.get(run.stage)!.add(run);
  forEachRound(request, (run) => accounts.get(run.stage)!.add(run));
  const stages = [...accounts.values()].map((account) => account.plan());
  const total = (of: (stage: StageEstimate) => number) => stages.reduce((sum, stage) => sum + of(stage), 0);
  const instances = Math.ceil(shards / machine.instance.devices);
  const modelBytes = modelParameters(request.config) * request.storedBytes;
  const startSeconds = rates.services.instanceStartSeconds + modelBytes / rates.services.storeBytesPerSecond;
  const storedBytes = total((stage) => stage.storedBytes) + modelBytes;
  const plane: ControlPlane = { rounds, tasks: total((stage) => stage.tasks), baseBytes: total((s) => s.storedBytes) };
  const control = controlDollars(rates, plane);
  const starts = instanceDollars(machine, instances, startSeconds);
  return {
    rounds,
    instances,
    stages,
    startSeconds,
    seconds: startSeconds + total((stage) => stage.seconds),
    flops: total((stage) => stage.flops),
    storedBytes,
    control,
    costs: sumCosts(control, starts, ...stages.map(({ costs }) => costs)),
    storageDollarsPerMonth: storageDollars(rates, storedBytes),
  };
}

/** Visits the stages of all rounds. In each round, all earlier edits are active. */
function forEachRound(request: EstimateRequest, visit: (run: StageRun) => void): void {
  const { config, settings, shape, edits: all, roundSize } = request;
  const layers = settings.layers.length;
  let reading = noWork;
  for (let earlierEdits = 0; earlierEdits < all; ) {
    const edits = Math.min(roundSize, all - earlierEdits);
    const rebuild = sumWork(reading, timesWork(layers, rebuildWork(config, shape.rows * earlierEdits)));
    for (const run of roundRuns(request, { edits, earlierEdits, isFirst: earlierEdits === 0, rebuild })) visit(run);
    reading = sumWork(reading, segmentReadWork(config, layers, shape.rows * earlierEdits, shape.rows * edits));
    earlierEdits += edits;
  }
}

/** Adds up the runs of a stage. */
class StageAccount {
  #tasks = 0;
  #flops = 0;
  #seconds = 0;
  #taskSeconds = 0;
  #instanceSeconds = 0;
  #storedBytes = 0;
  #puts = 0;
  #gets = 0;
  readonly #stage: PlannedStage;
  readonly #request: EstimateRequest;

  constructor(stage: PlannedStage, request: EstimateRequest) {
    this.#stage = stage;
    this.#request = request;
  }

  add({ tasks, work, firstWork, storedBytes, puts, gets }: StageRun): void {
    const { machine, rates } = this.#request;
    const each = rates.services.taskStartSeconds + secondsOf(work, machine.rates);
    const more = secondsOf(firstWork, machine.rates);
    this.#tasks = Math.max(this.#tasks, tasks);
    this.#flops += tasks * flopsOf(work) + flopsOf(firstWork);
    this.#seconds += each + more;
    this.#taskSeconds += tasks * each + more;
    // Instances are given back when their tasks are done. The first one works on.
    this.#instanceSeconds += Math.ceil(tasks / machine.instance.devices) * each + more;
    this.#storedBytes += storedBytes;
    this.#puts += puts;
    this.#gets += gets;
  }

  plan(): StageEstimate {
    const { machine, rates } = this.#request;
    const memory = stageMemory(this.#stage, memorySizes(this.#request));
    const requests = { puts: this.#puts, gets: this.#gets };
    return {
      stage: this.#stage,
      tasks: this.#tasks,
      flops: this.#flops,
      seconds: this.#seconds,
      taskSeconds: this.#taskSeconds,
      memory,
      storedBytes: this.#storedBytes,
      fits: fits(memory, machine, this.#tasks),
      requests: requests.puts + requests.gets,
      costs: sumCosts(instanceDollars(machine, 1, this.#instanceSeconds), requestDollars(rates, requests)),
    };
  }
}
