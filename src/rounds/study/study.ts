/** @file The batch-size study: the same edits, in different numbers of consecutive rounds, measured after the last. */
import {
  type Edit,
  type Hyperparameters,
  type PresetSettings,
  presetFor,
  resolveHyperparameters,
} from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { renderStudy, type StudyCell } from '../../evaluation/index.js';
import type { SolverRequest } from '../../linalg/index.js';
import { evenly } from '../evenly.js';
import { fitEdits } from '../fit-edits.js';
import { layerStatistics } from '../layer-statistics.js';
import { digestOfModel } from '../model-digest.js';
import { roundNotes } from '../round-notes.js';
import { valuesOf } from '../search-values.js';
import { lostSearch } from '../solve-round.js';
import { subjectsOf } from '../subjects.js';
import { valueKeysOf } from '../value-key.js';
import { Workbench } from '../workbench.js';
import { type MeasuringPlace, measureCells, type PreparedStudy, type StudyListener } from './measure-cells.js';
import { cellsOf, type StudyGrid } from './study-cell.js';
import { studyRows } from './study-rows.js';

/** What is studied, and on what. */
export interface StudyRequest extends Omit<StudyGrid, 'weights'>, MeasuringPlace {
  readonly edits: readonly Edit[];
  /** lambda / dInner, 0 for EMMET; 0 and the model's own unless given. */
  readonly weights?: readonly number[] | undefined;
  /** Text for the key statistics; not needed where they are stored. */
  readonly corpusPath?: string;
  readonly maxTokens?: number;
  /** Settings that differ from the model's preset. */
  readonly settings: Partial<PresetSettings>;
  /** Measure so many edits at most, evenly spread; all unless given. */
  readonly measured?: number | undefined;
  readonly solver?: SolverRequest;
  readonly memoryBudgetBytes: number;
}

/** What a study found. */
export interface StudyResult {
  /** Edits that were written, and how many of them were measured. */
  readonly edits: number;
  readonly measured: number;
  readonly subjects: number;
  readonly settings: Hyperparameters;
  /** In the order of `cellsOf`. */
  readonly cells: readonly StudyCell[];
  /** The report, one self-contained HTML page. */
  readonly report: string;
}

/**
 * Writes the same edits as 1, 4, 16, ... consecutive rounds, each time from the base model on, and measures the end state: the
 * question of arXiv 2405.00664. Each subject's value is searched once, on the base model, and written in every cell; all facts of
 * a subject are in one round. So the cells differ in nothing but the solve. Values and finished cells are stored, and not made
 * again. Nothing is published, and published versions play no part.
 *
 * @throws {InvalidInputError} if more than one layer is to be hooked, a split has more rounds than there are subjects, or
 *   statistics need a corpus and none is given
 */
export async function study(request: StudyRequest, listener: StudyListener = {}): Promise<StudyResult> {
  const settings = await studySettings(request);
  const { model, modelId, heldOut } = request;
  if (heldOut.length === 0) listener.onNotice?.('no held-out text: what edits do to ordinary text is not measured');
  const prepared = await prepare(request, settings, listener);
  const { subjects, modelDigest } = prepared;
  const most = Math.max(...request.splits);
  if (most > subjects.length) {
    throw new InvalidInputError('--splits', `at most ${subjects.length} rounds, one for each subject`, `${most}`);
  }
  const weights = request.weights ?? [...new Set([0, settings.momentWeight])];
  const cells = await measureCells(request, prepared, cellsOf({ ...request, weights }), listener);
  const { measuredEdits } = prepared;
  const edits = subjects.reduce((sum, subject) => sum + subject.edits.length, 0);
  const { dModel, dInner } = model.config;
  const report = await renderStudy({
    title: `${modelId}: batch sizes`,
    model: { name: modelId, digest: modelDigest, hookedLayers: settings.layers, dModel, dInner },
    createdAt: new Date().toISOString(),
    edits,
    measured: measuredEdits.length,
    cells,
    hyperparameters: settings,
    notes,
  });
  return { edits, measured: measuredEdits.length, subjects: subjects.length, settings, cells, report };
}

/** How a report is to be read. */
const notes = [
  'Each value was searched once, on the base model, and written in every cell; cells differ in nothing but the solve.',
  'Without a gate each subject has one key, the mean over its phrasings, as in MEMIT and EMMET; behind a gate one for each kind of form.',
  'lambda / D is the setting momentWeight; 0 is the limit in which edits are constraints, as in EMMET.',
  'First and last round: reliability of their edits at the end. Written: median share of a residual that its own round wrote.',
  'Score: harmonic mean of efficacy, paraphrase and neighbourhood success, by the probabilities of the new and the old target.',
];

async function studySettings({ model, settings: given }: StudyRequest): Promise<Hyperparameters> {
  const { settings: own } = await presetFor(model);
  // Neither values nor keys depend on a gate; each cell has its own.
  const settings = resolveHyperparameters({ ...own, ...given, gate: 'none' }, model.config);
  if (settings.layers.length === 1) return settings;
  throw new InvalidInputError('layers of a study', 'one layer, as in the paper', `[${settings.layers.join(', ')}]`);
}

/** Searches the values, and reads the keys under which they are written. */
async function prepare(
  request: StudyRequest,
  settings: Hyperparameters,
  { onNotice, ...listener }: StudyListener,
): Promise<PreparedStudy> {
  const { model, heldOut, measured = Number.POSITIVE_INFINITY } = request;
  const modelDigest = await digestOfModel(model, listener);
  const { layers, seed } = settings;
  const place = { ...request, modelDigest, settings };
  const { statistics, digests, notices } = await layerStatistics({ ...place, layers, seed }, listener);
  for (const notice of notices) onNotice?.(notice);
  const bench = new Workbench({ ...place, statistics });
  try {
    const contexts = await bench.contexts();
    const { fit, refused } = fitEdits(bench, request.edits);
    const all = subjectsOf({}, fit);
    const found = await valuesOf(bench, all, contexts, listener);
    const lost = all.flatMap(({ edits }, s) =>
      Number.isNaN(found[s].nll) ? edits.map(({ id }) => ({ id, reason: lostSearch(found[s]) })) : [],
    );
    for (const note of roundNotes({ rejectedEdits: [...refused, ...lost], measurements: [] })) onNotice?.(note);
    const subjects = all.filter((_, s) => !Number.isNaN(found[s].nll));
    if (subjects.length === 0)
      throw new InvalidInputError('edits to study', 'at least one that can be written', 'none');
    const deltas = found.filter(({ nll }) => !Number.isNaN(nll)).map(({ delta }) => delta);
    const rowsBehind = await studyRows(bench, subjects, deltas, contexts, request.gates);
    const measuredEdits = evenly(
      subjects.flatMap(({ edits }) => edits),
      measured,
    );
    const { similarityThreshold, formSimilarity } = settings;
    return {
      modelDigest,
      settings,
      statistics: bench.statistics,
      subjects,
      measuredEdits,
      rowsBehind,
      inputs: {
        kind: 'study',
        formatVersion: 1,
        modelDigest,
        values: valueKeysOf(bench, contexts, subjects),
        statistics: digests,
        similarityThreshold,
        formSimilarity,
        measuredEdits,
        heldOut,
      },
    };
  } finally {
    await bench.dispose();
  }
}
