/** @file The work of the container tasks of each stage, round by round. It mirrors the code of the stages. */
import type { ModelConfig } from '../model/index.js';
import type { EstimateRequest } from './estimate-request.js';
import { secondsOf } from './seconds-of.js';
import { memorySizes, type PlannedStage, stageWeights } from './stage-memory.js';
import { factorWork, momentWork } from './statistics-work.js';
import {
  factorBytes,
  roundRecordsBytes,
  segmentBytes,
  sketchBytes,
  statisticsBytes,
  sumsBytes,
  valueBytes,
} from './stored-bytes.js';
import { editsValidation, wholeValidation, writtenContexts, writtenContinuations } from './validation-work.js';
import { valuesWork } from './values-work.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';
import { rebuildWork, recordWork, writeWork } from './write-work.js';

/** One run of a stage: tasks at the same time, of which the first may have more to do. */
export interface StageRun {
  readonly stage: PlannedStage;
  readonly tasks: number;
  /** Of each task. */
  readonly work: Work;
  /** Additional work of the first task. */
  readonly firstWork: Work;
  /** Left in the store, work files included. */
  readonly storedBytes: number;
  readonly puts: number;
  readonly gets: number;
}

/** Seconds between two checkpoints of a statistics pass. */
const checkpointSeconds = 20;

/** The pass over the corpus and the factors, once for all rounds. */
export function statisticsRuns(request: EstimateRequest): StageRun[] {
  const { config, settings, corpusTokens, sequenceTokens, shards, machine } = request;
  const count = settings.layers.length;
  const pass = momentWork(config, settings.layers, { tokens: corpusTokens / shards, sequenceTokens });
  const checkpoints = 1 + Math.floor(secondsOf(pass, machine.rates) / checkpointSeconds);
  const sums = count * sumsBytes(config);
  const stored = count * statisticsBytes(config);
  return [
    {
      stage: 'statistics',
      tasks: shards,
      work: sumWork(load('statistics', request), pass, workOf({ storeBytes: (checkpoints + 1) * sums })),
      firstWork: workOf({}),
      storedBytes: 0,
      puts: shards * (checkpoints + 1),
      gets: shards * 6,
    },
    {
      stage: 'merge',
      tasks: 1,
      work: sumWork(
        load('merge', request),
        timesWork(count, factorWork(config)),
        workOf({ storeBytes: shards * sums + 2 * stored, hostElements: count * (2 + shards) * config.dInner ** 2 }),
        writtenContexts({ ...request, heldRows: 0 }),
      ),
      firstWork: workOf({}),
      storedBytes: stored,
      puts: 3 * count + 1,
      gets: shards + count + 6,
    },
  ];
}

/** A round on top of the earlier ones. */
export interface RoundPosition {
  readonly edits: number;
  readonly earlierEdits: number;
  readonly isFirst: boolean;
  /** The work of rebuilding the state of the version before from its segments, as solve and validation do. */
  readonly rebuild: Work;
}

/** The stages of one round. */
export function roundRuns(request: EstimateRequest, round: RoundPosition): StageRun[] {
  return [valuesRun(request, round), solveRun(request, round), validateRun(request, round)];
}

function valuesRun(request: EstimateRequest, { edits }: RoundPosition): StageRun {
  const { config, settings, shards } = request;
  const tasks = Math.min(shards, edits);
  const bytes = valueBytes(config, settings.steps);
  const each = edits / tasks;
  const search = valuesWork({ ...request, steps: settings.steps }, each);
  return {
    stage: 'values',
    tasks,
    work: sumWork(
      load('values', request),
      writtenContinuations(request, each),
      search,
      workOf({ storeBytes: each * bytes }),
    ),
    firstWork: workOf({}),
    storedBytes: edits * bytes,
    puts: edits,
    gets: 2 * edits + 6 * tasks,
  };
}

function solveRun(request: EstimateRequest, { edits, earlierEdits, isFirst, rebuild }: RoundPosition): StageRun {
  const { config, settings, shape } = request;
  const count = settings.layers.length;
  const sizes = { ...request, edits, earlierEdits };
  const segment =
    count * (segmentBytes(config, shape.rows * earlierEdits, shape.rows * edits) + (isFirst ? sketchBytes(config) : 0));
  const read = count * factorBytes(config) + edits * valueBytes(config, settings.steps);
  return {
    stage: 'solve',
    tasks: 1,
    work: sumWork(
      load('solve', request),
      rebuild,
      writeWork(sizes),
      recordWork(sizes),
      workOf({ storeBytes: read + 2 * segment, hostElements: count * config.dInner ** 2 }),
    ),
    firstWork: workOf({}),
    // Stored twice: beside the plan, and with the version.
    storedBytes: 2 * segment + roundRecordsBytes(earlierEdits + edits, edits),
    puts: 12,
    gets: edits + count + 10,
  };
}

function validateRun(request: EstimateRequest, { edits, earlierEdits, rebuild }: RoundPosition): StageRun {
  const { config, settings, shape, shards } = request;
  const tasks = Math.min(shards, edits);
  const heldRows = shape.rows * (earlierEdits + edits);
  const sizes = { ...request, heldRows };
  const own = timesWork(settings.layers.length, rebuildWork(config, heldRows));
  return {
    stage: 'validate',
    tasks,
    work: sumWork(load('validate', request), rebuild, own, editsValidation(sizes, edits / tasks)),
    firstWork: wholeValidation(sizes, earlierEdits),
    storedBytes: 0,
    puts: tasks + 6,
    gets: 10 * tasks,
  };
}

/** Reading and decoding a round's segment, as every later task does. */
export function segmentReadWork(config: ModelConfig, layers: number, earlierRows: number, rows: number): Work {
  const read = workOf({
    storeBytes: segmentBytes(config, earlierRows, rows),
    hostElements: 2 * rows * (config.dInner + config.dModel + earlierRows),
  });
  return timesWork(layers, read);
}

function load(stage: PlannedStage, request: EstimateRequest): Work {
  return workOf({ loadBytes: stageWeights(stage, memorySizes(request)) });
}
