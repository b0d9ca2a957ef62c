import { type EditState, resolveHyperparameters } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { Solver, type SolverRequest } from '../linalg/index.js';
import type { Listener } from '../progress.js';
import { type LatestVersion, latest, type ObjectStore } from '../registry/index.js';
import { type Device, OnnxGemmEngine, rowsPerBatch } from '../runtime/index.js';
import { loadVersionHooks } from '../serving/index.js';
import { ensureStatistics, loadStatistics, type StatisticsResult } from '../statistics/index.js';
import { continuedSettings } from './continued-settings.js';
import { digestOfModel, openModel } from './open-model.js';
import { type PresetSettings, presetFor } from './presets.js';
import { Workbench, type WorkbenchParts } from './workbench.js';

/** What a model is to be edited with. */
export interface EditSessionRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDirectory: string;
  /** Settings that the user gave; they go before those of the model's preset. */
  readonly settings: Partial<PresetSettings>;
  /** Text for key statistics; not needed where they are stored. */
  readonly corpusPath?: string;
  readonly device: Device;
  /** Who factors key moments; `auto` unless given. */
  readonly solver?: SolverRequest;
  readonly memoryBudgetBytes: number;
}

/** A model made ready for rounds on top of the store's latest version. Dispose of its bench. */
export interface EditSession {
  readonly bench: Workbench;
  readonly modelDigest: string;
  readonly statisticsDigests: Readonly<Record<string, string>>;
  readonly base: { readonly latest: LatestVersion; readonly state: EditState } | undefined;
}

/**
 * Opens model, statistics and latest version. A later version must be solved in the metric and with the weights of the
 * first one, so its layers, moment weight, gate and seed are taken from the store.
 *
 * @throws {InvalidInputError} if the store's versions are another model's, or a setting contradicts them
 */
export async function openEditSession(request: EditSessionRequest, listener: Listener = {}): Promise<EditSession> {
  const { store, modelId, device, memoryBudgetBytes } = request;
  const { model, tokenizer } = await openModel(request.modelDirectory);
  const digest = await digestOfModel(model, listener);
  const base = await openBase(store, modelId, digest, device);
  const settings = base
    ? continuedSettings(base.latest, request.settings)
    : resolveHyperparameters({ ...(await presetFor(model)).settings, ...request.settings }, model.config);
  const parts = { store, modelId, modelDigest: digest, model, tokenizer, settings, device, memoryBudgetBytes };
  const statistics = base
    ? await loadStatistics({ store, modelId, model }, base.latest.manifest.statistics)
    : await computedStatistics(parts, request, listener);
  for (const notice of statistics.notices) listener.onNotice?.(notice);
  const bench = new Workbench({ ...parts, statistics: statistics.statistics });
  return { bench, modelDigest: digest, statisticsDigests: statistics.digests, base };
}

async function computedStatistics(
  parts: WorkbenchParts & { readonly device: Device },
  { corpusPath, solver: solverRequest = { choice: 'auto' } }: EditSessionRequest,
  { onProgress, onNotice }: Listener,
): Promise<StatisticsResult> {
  const { settings, ...place } = parts;
  const { layers, seed } = settings;
  const engine = new OnnxGemmEngine({ device: parts.device });
  const corpus = corpusPath === undefined ? undefined : { path: corpusPath };
  const solver = new Solver({ ...solverRequest, engine, onNotice });
  const request = { ...place, engine, solver, layers, seed, corpus, rowsPerBatch };
  try {
    return await ensureStatistics({ ...request, ...(onProgress && { onProgress }) });
  } finally {
    await engine.dispose();
  }
}

async function openBase(
  store: ObjectStore,
  modelId: string,
  digest: string,
  device: Device,
): Promise<EditSession['base']> {
  const current = await latest(store, modelId);
  if (current === undefined) return undefined;
  if (current.manifest.modelDigest !== digest) {
    throw new InvalidInputError(
      `model ${modelId}`,
      `the model of the store's versions (digest ${current.manifest.modelDigest.slice(0, 12)}), or another --model-id`,
      `digest ${digest.slice(0, 12)}`,
    );
  }
  const { state } = await loadVersionHooks(store, modelId, current.version, { device });
  return { latest: current, state };
}
