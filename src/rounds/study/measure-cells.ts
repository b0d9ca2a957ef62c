/** @file Writes and measures the cells of a study. */
import { type Edit, type EditState, type Hyperparameters, hooksOf, type KeyStatistics } from '../../editing/index.js';
import {
  type EditMeasurement,
  measureDrift,
  measureEdits,
  median,
  type StudyCell,
  summarise,
} from '../../evaluation/index.js';
import type { Model, Tokenizer } from '../../model/index.js';
import type { Listener, Progress } from '../../progress.js';
import { contentKey, findStored, type ObjectStore, storeOnce, studyKey } from '../../registry/index.js';
import { type Device, OnnxGemmEngine, rowsPerBatch } from '../../runtime/index.js';
import { HookableModel, type MeasuredModel } from '../../serving/index.js';
import { layerChanges } from '../layer-changes.js';
import type { Subject } from '../subjects.js';
import { solveInRounds } from './split-solve.js';
import { type CellPlace, cellForm, type StudyGate } from './study-cell.js';
import type { StudyRows } from './study-rows.js';

/** What is measured with, and where cells are stored. */
export interface MeasuringPlace {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Token sequences of ordinary text; without any, drift is not measured. */
  readonly heldOut: readonly (readonly number[])[];
  readonly device: Device;
}

/** Told how far the study is. */
export interface StudyListener extends Pick<Listener, 'onNotice'> {
  readonly onProgress?: (progress: Progress | (Omit<Progress, 'stage'> & { readonly stage: 'cells' })) => void;
}

/** What all cells share. */
export interface PreparedStudy {
  readonly modelDigest: string;
  readonly settings: Hyperparameters;
  readonly statistics: readonly KeyStatistics[];
  readonly subjects: readonly Subject[];
  readonly measuredEdits: readonly Edit[];
  readonly rowsBehind: (gate: StudyGate) => StudyRows;
  /** Everything but its place that a cell depends on. */
  readonly inputs: unknown;
}

/**
 * Measures the cells in their order, those that are not stored yet, and stores them. The model is compiled once for each gate.
 */
export async function measureCells(
  { store, modelId, model, tokenizer, heldOut, device }: MeasuringPlace,
  prepared: PreparedStudy,
  places: readonly CellPlace[],
  { onProgress }: StudyListener,
): Promise<StudyCell[]> {
  const engine = new OnnxGemmEngine({ device });
  let opened:
    | { readonly gate: StudyGate; readonly edited: HookableModel; readonly measured: MeasuredModel }
    | undefined;
  const behind = async (gate: StudyGate): Promise<MeasuredModel> => {
    if (opened?.gate !== gate) {
      await opened?.edited.dispose();
      opened = undefined;
      const edited = await HookableModel.compile(model, {
        layers: prepared.settings.layers,
        gate,
        device,
        rowsPerBatch,
      });
      opened = { gate, edited, measured: withBaseAsked(edited) };
    }
    return opened.measured;
  };
  const cells: StudyCell[] = [];
  try {
    for (const [index, place] of places.entries()) {
      const report = (share: number, detail: string) =>
        onProgress?.({
          stage: 'cells',
          done: Number((index + share).toFixed(2)),
          total: places.length,
          unit: 'cells',
          detail,
        });
      const key = studyKey(modelId, contentKey({ inputs: prepared.inputs, place }));
      const stored = await findStored(store, key, cellForm);
      const measure = async () => {
        const edited = await behind(place.gate);
        return measureCell({ ...prepared, place }, { model, edited, tokenizer, engine, heldOut }, report);
      };
      cells.push(stored ?? (await storeOnce(store, key, cellForm, await measure())));
      report(1, stored ? 'stored' : '');
    }
    return cells;
  } finally {
    await opened?.edited.dispose();
    await engine.dispose();
  }
}

/** The same model, which is asked for the base model's scores of the same requests only once. */
function withBaseAsked(model: HookableModel): MeasuredModel {
  const known = new Map<string, ReturnType<MeasuredModel['score']>>();
  return {
    limits: model.limits,
    generate: (...asked) => model.generate(...asked),
    compare: (...asked) => model.compare(...asked),
    score: (requests, hooks, onProgress) => {
      if (hooks !== undefined) return model.score(requests, hooks, onProgress);
      const key = contentKey(requests);
      const scores = known.get(key) ?? model.score(requests, undefined, onProgress);
      known.set(key, scores);
      return scores;
    },
  };
}

/** What a cell is measured with. */
interface Measuring {
  readonly model: Model;
  readonly edited: MeasuredModel;
  readonly tokenizer: Tokenizer;
  readonly engine: OnnxGemmEngine;
  readonly heldOut: MeasuringPlace['heldOut'];
}

async function measureCell(
  { place, settings, statistics, subjects, measuredEdits, rowsBehind }: PreparedStudy & { readonly place: CellPlace },
  { model, edited, tokenizer, engine, heldOut }: Measuring,
  report: (share: number, detail: string) => void,
): Promise<StudyCell> {
  const startedAt = performance.now();
  const [{ inverseFactor, layer }] = statistics;
  const { rows, ids: rowIds, thresholds, subjects: subjectOf } = rowsBehind(place.gate);
  const parts = partsOf(subjects, place.rounds);
  const columnOf = (subject: number) => (subject === subjects.length ? rowIds.length : subjectOf.indexOf(subject));
  const rounds = parts.map(([from, to]) => [columnOf(from), columnOf(to)] as const);
  report(0, 'solving');
  const { memory, writtenShare } = await solveInRounds(rows, { ...place, rounds }, inverseFactor, engine);
  const { sequenceThreshold } = settings;
  const state: EditState = { rowIds, layers: [{ layer, memory, thresholds, sequenceThreshold }] };
  const hooks = hooksOf(state, statistics);
  const measurements = await measureEdits(edited, tokenizer, measuredEdits, hooks, (done, total) =>
    report((0.95 * done) / total, 'measuring'),
  );
  const drift = heldOut.length === 0 ? undefined : (await measureDrift(edited, heldOut, hooks)).drift;
  const [{ relativeChange }] = await layerChanges(model, state, engine);
  const { measured: _, ...summary } = summarise(measurements);
  const ofPart = ([from, to]: readonly [number, number]) => {
    const ids = new Set(subjects.slice(from, to).flatMap((subject) => subject.edits.map(({ id }) => id)));
    return partSummary(measurements.filter(({ id }) => ids.has(id)));
  };
  return {
    ...place,
    ...summary,
    perplexityRatio: inNumbers(drift?.perplexityRatio),
    klToBase: inNumbers(drift?.klToBase),
    firstRound: ofPart(parts[0]),
    lastRound: ofPart(parts[parts.length - 1]),
    relativeChange,
    writtenShare: median(writtenShare),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

/** Subjects of each round, from and up to: as nearly equal numbers as can be. */
function partsOf({ length }: readonly Subject[], rounds: number): (readonly [number, number])[] {
  const start = (round: number) => Math.floor((round * length) / rounds);
  return Array.from({ length: rounds }, (_, round) => [start(round), start(round + 1)]);
}

function partSummary(measurements: readonly EditMeasurement[]): StudyCell['firstRound'] {
  const { reliability, generality } = summarise(measurements);
  return { reliability, generality };
}

/** JSON holds no NaN and no infinity: what is no number any more is as large as a number can be. */
const inNumbers = (value: number | undefined): number | null =>
  value === undefined ? null : Number.isFinite(value) ? value : Number.MAX_VALUE;
