/** @file Searches the hyperparameters that suit a model best, on edits that the user gives. */
import type { Edit, Hyperparameters } from '../../editing/index.js';
import { type PresetSettings, presetFor } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { mean } from '../../evaluation/index.js';
import type { SolverRequest } from '../../linalg/index.js';
import type { Model, Tokenizer } from '../../model/index.js';
import type { Progress } from '../../progress.js';
import type { ObjectStore } from '../../registry/index.js';
import { type Device, rowsPerBatch } from '../../runtime/index.js';
import { HookableModel } from '../../serving/index.js';
import { contextTemplates } from '../context-templates.js';
import { fitEdits } from '../fit-edits.js';
import { layerStatistics } from '../layer-statistics.js';
import { digestOfModel } from '../model-digest.js';
import { roundNotes } from '../round-notes.js';
import { subjectsOf } from '../subjects.js';
import { coordinateSearch, type TrialPlace } from './coordinate-search.js';
import { TrialBench } from './trial-bench.js';
import { type TrialMetrics, trialMetrics, tuneObjective } from './tune-objective.js';
import { presetOf, type TunedSettings, type TuneSpace, tuneSpace } from './tune-space.js';

/** What is tuned, on what, and for how long. */
export interface TuneRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly edits: readonly Edit[];
  /** Text for the key statistics; not needed where they are stored. */
  readonly corpusPath?: string;
  /** Most tokens of the corpus to read; see `StatisticsRequest`. */
  readonly maxTokens?: number;
  /** Token sequences of ordinary text; without any, drift does not count. */
  readonly heldOut: readonly (readonly number[])[];
  /** Single layers to try, see `tuneSpace`. */
  readonly layers?: readonly number[];
  /** Settings that the user holds fixed; all others start from the model's preset. */
  readonly settings: Partial<PresetSettings>;
  /** Another trial begins only while half the mean time of a trial is left; the first one always does. */
  readonly budgetSeconds: number;
  readonly device: Device;
  /** What factors the key statistics; `auto` unless given. */
  readonly solver?: SolverRequest;
  readonly memoryBudgetBytes: number;
}

/** Told how far the search is: the stages before the trials, and the trials done. */
export interface TuneListener {
  readonly onProgress?: (progress: Progress | (Omit<Progress, 'stage'> & { readonly stage: 'trials' })) => void;
  readonly onNotice?: (message: string) => void;
}

/** One combination of settings, written and measured. */
export interface Trial {
  readonly settings: TunedSettings;
  readonly metrics: TrialMetrics;
  /** See `tuneObjective`. */
  readonly objective: number;
  readonly seconds: number;
}

/** What the search found. */
export interface TuneResult {
  /** In the order in which they were run. */
  readonly trials: readonly Trial[];
  readonly best: Trial;
  /** The best settings as a preset. */
  readonly preset: PresetSettings;
  /** False if the time was up before everything was tried. */
  readonly isComplete: boolean;
}

/** Most passes over all coordinates. The second one tries the layers again, with the steps and rates found. */
const sweeps = 2;

/**
 * Searches layer, learning rate, moment weight, gate threshold and steps, one after the other, for the best
 * `tuneObjective` on these edits, written as one batch on the base model. Only statistics and context templates are stored.
 *
 * @throws {InvalidInputError} if a setting or layer does not fit the model, or statistics need a corpus and none is given
 */
export async function tune(request: TuneRequest, listener: TuneListener = {}): Promise<TuneResult> {
  const startedAt = performance.now();
  const { model, settings: given, layers, heldOut } = request;
  const { settings: own } = await presetFor(model);
  const space = tuneSpace({ own, given, layers }, model.config);
  if (heldOut.length === 0) listener.onNotice?.('no held-out text: what edits do to ordinary text does not count');
  const hasTime = (trials: readonly Trial[]) => {
    const expectedSeconds = (mean(trials.map(({ seconds }) => seconds)) ?? 0) / 2;
    return (performance.now() - startedAt) / 1000 + expectedSeconds < request.budgetSeconds;
  };
  return withTrialBench(request, space, listener, async (bench) => {
    const found = await coordinateSearch({
      ...space,
      sweeps,
      evaluate: (settings, place) => runTrial(bench, { base: space.base, settings, ...place }, listener),
      objectiveOf: (trial) => trial.objective,
      hasTime,
    });
    return { ...found, preset: presetOf({ ...space.base, ...found.best.settings }, own) };
  });
}

interface TrialSettings {
  readonly base: Hyperparameters;
  readonly settings: TunedSettings;
}

async function runTrial(
  bench: TrialBench,
  { base, settings, index, total, coordinate }: TrialPlace & TrialSettings,
  listener: TuneListener,
): Promise<Trial> {
  const startedAt = performance.now();
  const tried = `${coordinate} ${[settings[coordinate as keyof TunedSettings]].flat().join(', ')}`;
  const report = (done: number, detail: string) =>
    listener.onProgress?.({ stage: 'trials', done, total, unit: 'trials', detail: `${tried}: ${detail}` });
  const measures = await bench.measure({ ...base, ...settings }, (what) => report(index, what));
  const metrics = trialMetrics(measures);
  const objective = tuneObjective(metrics);
  report(index + 1, `objective ${objective.toFixed(3)}`);
  return { settings, metrics, objective, seconds: (performance.now() - startedAt) / 1000 };
}

/** Prepares what all trials share, and frees it afterwards. */
async function withTrialBench<T>(
  request: TuneRequest,
  { base, layers }: TuneSpace,
  listener: TuneListener,
  run: (bench: TrialBench) => Promise<T>,
): Promise<T> {
  const { model, device } = request;
  const digest = await digestOfModel(model, listener);
  let edited: HookableModel | undefined;
  try {
    const place = { ...request, modelDigest: digest, seed: base.seed };
    const { statistics, notices } = await layerStatistics({ ...place, layers }, listener);
    for (const notice of notices) listener.onNotice?.(notice);
    edited = await HookableModel.compile(model, { layers, gate: base.gate, device, rowsPerBatch });
    const { contextTokens, chatContexts } = base;
    const contexts = await contextTemplates({ ...place, edited, contextTokens, chatContexts });
    const { fit: edits, refused } = fitEdits(request, request.edits);
    for (const note of roundNotes({ rejectedEdits: refused, measurements: [] })) listener.onNotice?.(note);
    if (edits.length === 0)
      throw new InvalidInputError('edits to tune on', 'at least one that the model takes', 'none');
    return await run(
      new TrialBench({ ...place, statistics, edited, contexts, edits, subjects: subjectsOf({}, edits) }),
    );
  } finally {
    await edited?.dispose();
  }
}
